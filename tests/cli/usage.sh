#!/bin/sh
# What every verb shares: help, version, and a clear no.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"

run version
ok "version succeeds" exits 0
ok "version names the program and a number" out_has '^tandem [0-9]+\.[0-9]+\.[0-9]+'
ok "version writes nothing to standard error" err_empty

run version --json
ok "version --json succeeds" exits 0
is_json "version --json is JSON"

run --help
ok "--help succeeds" exits 0
ok "--help goes to standard output" out_has '^usage: tandem '
ok "--help writes nothing to standard error" err_empty
ok "--help is plain text" plain
cp "$out" help

run
ok "no verb is a usage error" exits 2
ok "no verb prints nothing on standard output" out_empty
ok "no verb explains itself" err_has 'usage: tandem '

run tabel
ok "an unknown verb is a usage error" exits 2
ok "an unknown verb is named" err_has 'tabel'
ok "an unknown verb gets a suggestion" err_has 'did you mean.*table'
ok "an unknown verb prints nothing on standard output" out_empty

for verb in demo run status table show pretrain forward check doctor sql version; do
  ok "--help lists $verb" grep -qE "^ +$verb( |\$)" help
  run "$verb" --help
  ok "$verb --help succeeds" exits 0
  ok "$verb --help shows its usage" out_has "^usage: tandem $verb"
  ok "$verb --help writes nothing to standard error" err_empty
  run "$verb" --no-such-option
  ok "$verb refuses an unknown option" exits 2
  ok "$verb names the unknown option" err_has 'no-such-option'
done

# docs/cli.md names every verb that the program has, and no other.
sed -n 's/^ \{1,4\}\([a-z][a-z-]*\)  .*/\1/p' help | LC_ALL=C sort >verbs
sed -n 's/^## `tandem \([a-z-]*\).*/\1/p' "$SOURCE/docs/cli.md" | LC_ALL=C sort >documented
ok "docs/cli.md has the verbs of --help" cmp -s verbs documented

finish
