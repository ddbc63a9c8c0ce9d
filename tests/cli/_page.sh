#!/bin/sh
# _page.sh PROGRAM: the part of docs/cli.md that follows from the program, from "## Verbs" to the end. usage.sh compares
# it with the page. To bring the page up to date:
#   { sed '/^## Verbs/,$d' docs/cli.md; sh tests/cli/_page.sh build/tandem; } >page && mv page docs/cli.md
set -eu
echo '## Verbs'
echo
"$1" --help | sed -n 's/^  \([a-z][a-z-]*\)  *\(.*\)/\1 \2/p' | while read -r verb help; do
  # shellcheck disable=SC2016  # backquotes of Markdown
  printf '### `tandem %s`\n\n%s\n\n```\n' "$verb" "$help"
  "$1" "$verb" --help
  printf '```\n\n'
done | sed '$d'
