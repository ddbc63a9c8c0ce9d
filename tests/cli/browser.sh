#!/bin/sh
# The report in a real browser: pictures are shown, heads sort, the backdrop switches, nothing is said on the console.
# shellcheck source=tests/cli/_lib.sh
# shellcheck disable=SC2317  # helpers are called through ok
. "$(dirname "$0")/_lib.sh"

browser=
for name in chromium chromium-browser google-chrome; do
  [ -n "$browser" ] || browser=$(command -v $name || true)
done
if [ -z "$browser" ]; then
  skip "the report in a browser" "needs chromium"
  finish
  exit 0
fi

run run smoke --results store -q
run report smoke --results store -o page.html
ok "a report" exits 0

# What a person would do, and what is then on the page, as attributes of the root element.
cat >probe.html <<'END'
<script>
window.addEventListener('error', function (e) { document.documentElement.dataset.error = e.message; });
window.addEventListener('load', function () {
  var root = document.documentElement.dataset, images = Array.from(document.images);
  var column = function () {
    return Array.from(document.querySelectorAll('.tandem-table div tbody tr')).map(function (r) {
      return r.cells[1].dataset.v || 'none'; }).join(' ');
  };
  var behind = function () { return getComputedStyle(document.querySelector('.clips img')).backgroundColor; };
  root.images = images.length;
  root.broken = images.filter(function (i) { return !i.complete || !i.naturalWidth; }).length;
  root.words = images.filter(function (i) { return i.alt.length > 5; }).length;
  var head = document.querySelectorAll('.tandem-table div thead tr:last-child th')[1];
  head.click(); root.first = column();
  head.click(); root.second = column();
  document.getElementById('over-black').click(); root.black = behind();
  document.getElementById('over-white').click(); root.white = behind();
});
</script>
END
cat probe.html page.html >probed.html
timeout 60 "$browser" --headless --no-sandbox --disable-gpu --virtual-time-budget=3000 --enable-logging=stderr --dump-dom \
  "file://$work/probed.html" >dom 2>console
ran="the report in $browser"
head -c 3000 dom | tr '>' '\n' | grep -m1 '<html' >"$out"
: >"$err"
if [ ! -s "$out" ]; then
  skip "the report in a browser" "$browser does not run here"
  finish
  exit 0
fi
value() { sed -n "s/.*data-$1=\"\\([^\"]*\\)\".*/\\1/p" "$out"; }
backwards() { echo "$1" | tr ' ' '\n' | grep -v none | sed '1!G;h;$!d' | tr '\n' ' '; }
forwards() { echo "$1" | tr ' ' '\n' | grep -v none | tr '\n' ' '; }
silent() { ! grep -E 'CONSOLE|Uncaught|Refused' console; }
ok "there are pictures" test "$(value images)" -ge 6
ok "all are shown" test "$(value broken)" = 0
ok "all say in words what they show" test "$(value words)" = "$(value images)"
ok "a click on a head sorts" test -n "$(value first)"
ok "a second click turns the order round" test "$(backwards "$(value first)")" = "$(forwards "$(value second)")"
ok "that is another order" test "$(value first)" != "$(value second)"
ok "the backdrop becomes black" test "$(value black)" = "rgb(0, 0, 0)"
ok "and white" test "$(value white)" = "rgb(255, 255, 255)"
ok "no script failed" test -z "$(value error)"
ok "nothing is on the console" silent
finish
