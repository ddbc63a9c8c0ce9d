# Calls that this code base does without. Input: output of code.awk.
function ban(words, where, why,   i, n, w) {
  n = split(words, w, " ")
  for (i = 1; i <= n; i++) { banned_where[w[i]] = where; banned_why[w[i]] = why }
}
BEGIN {
  # The second argument says which files MAY: none, or a pattern.
  ban("strcpy strcat stpcpy gets sprintf vsprintf", "^$", "no bound; use snprintf or text_addf")
  ban("strncpy strncat", "^$", "surprising ends; use snprintf or memcpy")
  ban("atoi atol atoll atof", "^$", "no error report; use strtol, strtod")
  ban("rand srand random srandom drand48 lrand48 rand_r", "^$", "not reproducible; use base/rng.h")
  ban("strtok asctime ctime gmtime localtime strerror_l tmpnam tempnam mktemp", "^$", "static state or a race")
  ban("alloca", "^$", "stack of unknown size")
  ban("system popen", "^$", "a shell between us and the program; use posix_spawn")
  ban("exit abort quick_exit", "^harness/main\\.c$", "library code returns a status")
  ban("assert", "^$", "library code returns a status; use FAIL, or _Static_assert")
  ban("getenv secure_getenv setenv putenv", "^harness/(main\\.c$|cli/)", "only the command line reads the environment")
  ban("setlocale", "^$", "numbers are read and printed in the C locale")
  ban("cJSON_GetObjectItem cJSON_HasObjectItem cJSON_GetErrorPtr", "^$", "ignores case or keeps static state")
}
{
  where = $0
  sub(/: .*/, "", where)
  file = where
  sub(/:.*/, "", file)
  rest = $0
  sub(/^[^:]+:[0-9]+: /, "", rest)
  while (match(rest, /[A-Za-z_][A-Za-z_0-9]*[ \t]*\(/)) {
    word = substr(rest, RSTART, RLENGTH - 1)
    before = RSTART > 1 ? substr(rest, RSTART - 1, 1) : ""
    if (RSTART > 2 && substr(rest, RSTART - 2, 2) == "->") before = "."
    sub(/[ \t]+$/, "", word)
    rest = substr(rest, RSTART + RLENGTH)
    if (word in banned_why && before != "." && !(file ~ banned_where[word])) {
      print where ": " word "(): " banned_why[word]
      bad = 1
    }
  }
}
END { exit bad }
