# A function fits a screen: 60 lines from its first line to its closing brace. Relies on the layout of clang-format: a
# function ends in a line that is just "}", and its head is the last unindented line with a parenthesis before that.
FNR == 1 { start = 0 }
/^[A-Za-z_].*\(/ && !/=/ { start = FNR; head = $0 }
/^\}$/ {
  if (start && FNR - start + 1 > 60) {
    name = head
    sub(/\(.*/, "", name)
    sub(/.*[ *]/, "", name)
    print FILENAME ":" start ": " name " has " FNR - start + 1 " lines; 60 is the limit"
    bad = 1
  }
  start = 0
}
END { exit bad }
