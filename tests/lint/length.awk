# A function fits a screen: 60 lines from its first line to its closing brace. Relies on the layout of clang-format: a
# function ends in a line that is just "}", and starts at the last unindented line of code before its body.
FNR == 1 { start = 0; open = 0 }
/^[A-Za-z_]/ && !open { start = FNR; head = $0 }
/\{$/ && start { open = 1 }
/^(\};|\} [A-Za-z_].*;|[^ ].*;)$/ { open = 0; start = 0 }
/^\}$/ {
  if (start && FNR - start + 1 > 60) {
    name = head
    sub(/\(.*/, "", name)
    sub(/.*[ *]/, "", name)
    print FILENAME ":" start ": " name " has " FNR - start + 1 " lines; 60 is the limit"
    bad = 1
  }
  open = 0
  start = 0
}
END { exit bad }
