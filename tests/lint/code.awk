# Sources -> "file:line: code" with comments removed and the insides of strings and characters blanked, so that a word
# in a message or a comment is never taken for a call. Includes keep their file names.
FNR == 1 { in_comment = 0 }
{
  line = $0
  if (!in_comment && line ~ /^[ \t]*#[ \t]*include/) {
    print FILENAME ":" FNR ": " line
    next
  }
  out = ""
  quote = ""
  n = length(line)
  for (i = 1; i <= n; i++) {
    c = substr(line, i, 1)
    two = substr(line, i, 2)
    if (in_comment) {
      if (two == "*/") { in_comment = 0; i++ }
    } else if (quote != "") {
      if (c == "\\") i++
      else if (c == quote) { quote = ""; out = out c }
    } else if (two == "/*") { in_comment = 1; i++ }
    else if (two == "//") break
    else {
      if (c == "\"" || c == "'") quote = c
      out = out c
    }
  }
  if (out !~ /^[ \t]*$/) print FILENAME ":" FNR ": " out
}
