# CTest's JUnit file -> "pass|fail|skip<TAB>suite<TAB>program: test<TAB>note", one line a test function.
#
# A cmocka program says how many tests it will run, and prints FAILED and SKIPPED names (again in its closing list, so
# names are kept once). When it exits 0 every test ran: passed = promised - skipped. When it does not, only tests that
# said OK passed, and at least one failed, even if the program died before it could say so. Shell tests print TAP. A
# program that prints neither counts as one test. Lines of the two streams may be torn where they meet, hence numbers
# from the exit status where possible.

function attribute(line, name,   s) {
  if (!match(line, " " name "=\"[^\"]*\"")) return ""
  s = substr(line, RSTART, RLENGTH)
  sub(/^[^"]*"/, "", s)
  sub(/"$/, "", s)
  return s
}

function put(verdict, test, note) { printf "%s\t%s\t%s\t%s\n", verdict, suite, test, note }

function flush(   i, n, failed, skipped, ok) {
  if (program == "") return
  for (n in is_failed) { failed++; put("fail", program ": " n, "") }
  for (n in is_skipped) if (!(n in is_failed)) { skipped++; put("skip", program ": " n, is_skipped[n]) }
  if (status == "skip") {
    if (!skipped) put("skip", program, "the program skipped itself")
  } else if (status != "run") {
    if (!failed) put("fail", program, "ended early: " status)
    for (i = 0; i < n_ok; i++) put("pass", program ": " ok_name[i], "")
  } else if (promised) {
    ok = promised - skipped - failed
    for (i = 0; i < ok; i++) put("pass", program ": " (i < n_ok ? ok_name[i] : "test " i + 1), "")
  } else if (n_ok + failed + skipped > 0) {
    for (i = 0; i < n_ok; i++) put("pass", program ": " ok_name[i], "")
  } else {
    put("pass", program, "")
  }
  program = ""
}

/<testcase / {
  flush()
  split("", is_failed)
  split("", is_skipped)
  split("", ok_name)
  n_ok = promised = 0
  program = attribute($0, "name")
  status = attribute($0, "status")
}
/<skipped message="SKIP_RETURN_CODE/ { status = "skip" } # a program that is not there is no skip
/<failure/ { status = "fail" }
/\[==========\].* Running [0-9]+ test/ {
  sub(/.* Running /, "")
  promised += $1 + 0
  next
}
/\[       OK \] / { sub(/.*\[       OK \] /, ""); ok_name[n_ok++] = $0; next }
/\[  FAILED  \] / { sub(/.*\[  FAILED  \] /, ""); if ($0 !~ /test\(s\)/) is_failed[$0] = 1; next }
/\[  SKIPPED \] / { sub(/.*\[  SKIPPED \] /, ""); if ($0 !~ /test\(s\)/) is_skipped[$0] = ""; next }
/^(\t*<system-out>)?ok [0-9]+ .*# SKIP/ {
  sub(/.*ok [0-9]+ (- )?/, "")
  why = $0
  sub(/.*# SKIP */, "", why)
  sub(/ *# SKIP.*/, "")
  is_skipped[$0] = why
  next
}
/^(\t*<system-out>)?ok [0-9]+/ { sub(/.*ok [0-9]+ (- )?/, ""); ok_name[n_ok++] = $0; next }
/^(\t*<system-out>)?not ok [0-9]+/ { sub(/.*not ok [0-9]+ (- )?/, ""); is_failed[$0] = 1; next }
END { flush() }
