#!/bin/sh
# Prompts of any text: ten thousand characters, slashes, newlines, quotes, emoji. No file is named after one.
# shellcheck source=tests/cli/_lib.sh
# shellcheck disable=SC2317  # helpers are called through ok
. "$(dirname "$0")/_lib.sh"

long=$(awk 'BEGIN { for (i = 0; i < 1250; i++) printf "red disc" }')
cat >odd.json <<END
{"schema": 1, "study": "odd",
 "base": {"data": {"kind": "world", "set": "narrow", "seed": 2, "clips": 4},
          "train": {"steps": 2, "batch": 2, "warmup": 1, "rank": 4}, "sample": {"steps": 2}},
 "variants": {"ours": "ours", "base": "base"},
 "matrix": {"axes": {"variant": "*", "prompt": "*"}},
 "prompts": {"list": ["$long", "../../a/b", "one\\nline and \\"quotes\\" <b>&amp; 'x'", "\\ud83e\\udd80 \\u00e9\\u753b", "-o \$(touch hit)",
                      "%s %n \\\\ ; DROP TABLE cell"]},
 "metrics": ["alpha_coverage"]}
END
run run odd.json --results store --json
ok "a study of odd prompts runs" exits 0
ok "all of it" json_is .failed 0
ok "six prompts, two variants" json_is .cells 26
ok "nothing was run by a prompt" test ! -e hit
ok "no path holds a prompt" sh -c '! find store | grep -qE "disc|quotes|touch|DROP"'
run sql "SELECT length(text) FROM prompt ORDER BY 1 DESC LIMIT 1" --results store --json
ok "the long one is kept whole" grep -q 10000 "$out"
run sql "SELECT count(*) FROM cell" --results store --json
ok "and the store is whole" exits 0
for format in terminal md csv json latex html; do
  run table odd.json --results store --rows "variant prompt" --format $format
  ok "table, a row a prompt, $format" exits 0
done
run sheet odd.json --results store -o sheet.png
ok "a contact sheet" exits 0
run report odd.json --results store -o page.html
ok "a report" exits 0
ok "where a prompt is text" grep -q '&quot;quotes&quot; &lt;b&gt;&amp;amp;' page.html
finish
