#!/bin/sh
# status, table, show, sql: reading a store.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"

if [ "$json" != jq ]; then
  skip "reading a store" "needs jq"
  finish
fi

for verb in "status smoke" "table smoke" "show 0000" "sql SELECT+1"; do
  # shellcheck disable=SC2086  # two words
  run $verb --results nowhere
  ok "${verb%% *} without a store is exit 5" exits 5
  ok "${verb%% *} says so" err_has 'nowhere'
  ok "${verb%% *} does not make one" test ! -e nowhere
done

run run smoke --quiet
ok "a study runs" exits 0
ok "--quiet is quiet" err_empty
ok "the default store is results/local" test -s results/local/store.db

run status smoke
ok "status succeeds" exits 0
ok "it counts by stage" out_has '^sample +0 +0 +0 +12 '
run status --json
ok "of all studies as JSON" json_is '[.[].study]' '["smoke"]'
ok "with states" json_is '[.[0].stages.train.done, .[0].stages.score.done, .[0].stages.train.failed]' '[2,12,0]'
run status smokes
ok "an unknown study is exit 5" exits 5
ok "and those that are there are named" err_has 'smoke'

run status smoke --watch
ok "--watch of a study that is over prints it once and ends" test "$code$(grep -c '^study ' "$out")" = 01
run status smoke --watch --json
ok "--watch is text" exits 2

run table smoke
ok "table succeeds" exits 0
ok "it has the variants" out_has 'batch'
ok "it is plain text" plain
cp "$out" terminal
run table smoke --color always
ok "--color always colours" grep -q "$(printf '\033')" "$out"
for format in md csv json; do
  run table smoke --format $format
  ok "--format $format succeeds" exits 0
  ok "--format $format differs from the terminal's" test "$(cmp -s "$out" terminal && echo same)" = ""
  cp "$out" "plain.$format"
  run table smoke --format $format -o "file.$format"
  ok "-o writes the same" cmp -s "file.$format" "plain.$format"
  ok "and nothing to standard output" out_empty
done
ok "no temporary files stay" test "$(find . -name '*.tmp*')" = ""
run table smoke --json
ok "--json is --format json" cmp -s "$out" plain.json
is_json "and is JSON"
run table smoke --format pdf
ok "an unknown format is a usage error" exits 2
ok "and the known ones are named" err_has 'md'
run table smoke -o no/such/folder/x
ok "a file that cannot be written is an error" exits 1

run sql "SELECT key FROM cell WHERE stage = 'score' ORDER BY key LIMIT 1" --csv
ok "sql succeeds" exits 0
key=$(sed -n 2p "$out")
run sql "SELECT 'a\"b,c' AS t, x'00ff' AS b, NULL AS z, 9e999 AS i, 9007199254740993 AS n, 2 AS n, 0.1 AS r" --json
ok "every kind of value is JSON" json_is '.[0] | [.t, .b, .z, .i, ."n:2", .r]' '["a\"b,c","00ff",null,"inf",2,0.1]'
ok "an integer keeps its digits" out_has '9007199254740993'
run sql "SELECT 'a\"b,c' AS t, char(13) || 'x' AS u" --csv
ok "CSV is quoted" out_has '^"a""b,c","'
run sql "SELECT 1 WHERE 0" --json
ok "no rows are an empty list" json_is . '[]'
run sql "SELECT 1 AS one WHERE 0"
ok "and a head" out_has '^one$'
run sql "SELECT CAST(x'61ff62' AS TEXT) AS t" --json
is_json "text that is not UTF-8 does not spoil the document"
for bad in "DELETE FROM cell" "ATTACH 'x' AS y" "PRAGMA user_version = 9" "SELECT 1; SELECT 2" "SELEC 1" ""; do
  run sql "$bad"
  ok "'$bad' is a usage error" exits 2
  ok "'$bad' prints nothing" out_empty
done
run sql "SELECT variant, avg(value) FROM v_score WHERE metric = 'rgb_rmse_base' GROUP BY 1 ORDER BY 1" --json
ok "the scores are there" json_is '[.[].variant]' '["base","batch","ours"]'
ok "the base model is its own distance 0 away" json_is '.[0]."avg(value)"' 0

run show "$key"
ok "show succeeds" exits 0
ok "it names the cell" out_has "^score $key \(done\)"
run show "$(echo "$key" | cut -c1-12)" --json
ok "a beginning of the key does" json_is .key "$key"
ok "with what it was made from" json_is '[.inputs[] | select(.depth == 1) | .stage] | unique' '["sample"]'
ok "down to the start" json_is '[.inputs[].stage] | index("sample") != null' true
ok "and its measures" json_is '[.measures[].metric] | index("rgb_rmse_base") != null' true
ok "and its attempts" json_is '.attempts[-1].state' "done"
run show 0123456789ab
ok "a key that is not there is an error" test "$code" -ne 0
run show xyz
ok "a key that is none is an error" test "$code" -ne 0

# The reader goes away.
code=0
{
  "$BIN" sql "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 200000) SELECT i FROM r" --csv \
    2>"$err" || echo $? >status
} | head -n 1 >"$out"
code=$(cat status)
ran="sql | head"
ok "a reader that goes away is exit 141" exits 141
ok "and no complaint" err_empty

printf 'not a database, only some bytes that take its place' >results/local/store.db
for verb in "status smoke" "table smoke" "show 0000" "sql SELECT+1"; do
  # shellcheck disable=SC2086
  run $verb
  ok "a damaged store is exit 5 for ${verb%% *}" exits 5
done

finish
