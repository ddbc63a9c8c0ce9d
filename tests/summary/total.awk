# Results ("verdict<TAB>suite<TAB>name<TAB>note") -> what failed, what was skipped and why, a count a suite, and the
# total as the last line. Exit 1 when something failed or nothing passed.
BEGIN { FS = "\t" }
$1 == "pass" || $1 == "fail" || $1 == "skip" {
  if (!($2 in seen)) { seen[$2] = 1; order[n_suites++] = $2 }
  count[$2, $1]++
  total[$1]++
  if ($1 != "pass") print toupper($1) "  " $2 "  " $3 ($4 == "" ? "" : "  (" $4 ")")
  next
}
{ print "FAIL  unreadable result: " $0; total["fail"]++ }
END {
  for (i = 0; i < n_suites; i++) {
    s = order[i]
    printf "%-12s %5d passed %3d failed %3d skipped\n", s, count[s, "pass"], count[s, "fail"], count[s, "skip"]
  }
  printf "%d passed, %d failed, %d skipped\n", total["pass"], total["fail"], total["skip"]
  exit total["fail"] > 0 || total["pass"] == 0
}
