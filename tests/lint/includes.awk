# Which file may include which (docs/architecture.md, "Rooms"). Input: output of code.awk. A file may include its own
# room and the rooms below. Rooms of one level may use each other in one direction only: a pair that uses each other
# both ways is one room pretending to be two.
BEGIN {
  n = split("base:1 ops:2 model:3 variants:4 train/sample:5 media:6 metrics:6 stats:6 study:7 store:8 run:9 report:9 " \
            "cli:10 main:11", pairs, " ")
  for (i = 1; i <= n; i++) { split(pairs[i], kv, ":"); level[kv[1]] = kv[2] }
  n_owned = 0
  own("^sqlite3\\.h$", "^harness/store/", "SQLite belongs to store/")
  own("^lib(av|sw|postproc)[a-z]*/", "^harness/media/", "FFmpeg belongs to media/")
  own("cJSON\\.h$", "^harness/engine/base/json\\.c$", "cJSON belongs to base/json.c")
  own("^cairo", "^harness/(report|media)/", "cairo belongs to report/ and media/")
  own("^lapacke?\\.h$", "^(metrics|harness/stats)/", "LAPACKE belongs to metrics/ and stats/")
  own("^zlib\\.h$", "^harness/media/", "zlib belongs to media/")
  own("^openssl/", "^harness/engine/base/hash\\.c$", "libcrypto belongs to base/hash.c")
  own("^(cuda|cublas|cudnn|nvml|nvrtc|nvToolsExt)", "^harness/engine/ops/cuda/", "CUDA belongs to ops/cuda/")
}

function own(header, where, why) { owned_header[n_owned] = header; owned_where[n_owned] = where; owned_why[n_owned++] = why }

function room(path) {
  if (path ~ /^harness\/engine\/(base|ops|model)\//) { split(path, part, "/"); return part[3] }
  if (path ~ /^harness\/engine\//) return "train/sample"
  if (path ~ /^harness\/[a-z]+\//) { split(path, part, "/"); return part[2] }
  if (path ~ /^harness\/main\.c$/) return "main"
  if (path ~ /^(variants|metrics)\//) { split(path, part, "/"); return part[1] }
  return ""
}

function problem(text) { print where ": " text; bad = 1 }

# The room a quoted include names: paths are rooted at harness/engine, harness and the repository; a bare name is a
# neighbour, except the two headers that lie in harness/engine itself.
function target(name) {
  if (name ~ /^(base|ops|model|media|stats|study|store|run|report|cli|variants|metrics)\//) {
    split(name, part, "/")
    return part[1]
  }
  if (name ~ /^(train|sample)\.h$/) return "train/sample"
  if (name ~ /\//) return ""
  return room(file)
}

match($0, /^[^:]+:[0-9]+: [ \t]*#[ \t]*include[ \t]*/) {
  where = $0
  sub(/: .*/, "", where)
  file = where
  sub(/:.*/, "", file)
  name = substr($0, RLENGTH + 1)
  quoted = name ~ /^"/
  if (!quoted && name !~ /^</) next # a macro: the kernels include themselves per level
  gsub(/^["<]|[">].*$/, "", name)
  for (i = 0; i < n_owned; i++)
    if (name ~ owned_header[i] && file !~ owned_where[i]) problem("includes " name ": " owned_why[i])
  if (!quoted) next
  from = room(file)
  to = target(name)
  if (!(from in level)) problem("lies in no known room")
  else if (!(to in level)) problem("includes \"" name "\", which names no room; write ROOM/FILE")
  else if (level[to] > level[from]) problem("includes " name ": " to " is above " from)
  else if (to != from && level[to] == level[from]) sibling[from " " to] = where
}

END {
  for (s in sibling) {
    split(s, part, " ")
    if (part[1] < part[2] && (part[2] " " part[1]) in sibling) {
      where = sibling[s]
      problem(part[1] " and " part[2] " include each other (also " sibling[part[2] " " part[1]] ")")
    }
  }
  exit bad
}
