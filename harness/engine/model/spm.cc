#include "model/spm.h"

#include <sentencepiece_processor.h>

#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <vector>

struct spm {
  sentencepiece::SentencePieceProcessor p;
};

namespace {
int failed(char *why, size_t room, const char *text) {
  std::snprintf(why, room, "%s", text);
  return -1;
}
} // namespace

int spm_open(const void *data, size_t n, spm **out, char *why, size_t room) {
  *out = nullptr;
  spm *s = nullptr;
  try {
    s = new spm;
    sentencepiece::util::Status status = s->p.LoadFromSerializedProto({static_cast<const char *>(data), n});
    if (status.ok()) {
      *out = s;
      return 0;
    }
    failed(why, room, status.ToString().c_str());
  } catch (const std::exception &e) {
    failed(why, room, e.what());
  } catch (...) {
    failed(why, room, "unknown exception");
  }
  delete s;
  return -1;
}

void spm_close(spm *s) {
  delete s;
}

int spm_size(const spm *s) {
  return s->p.GetPieceSize();
}

int spm_eos(const spm *s) {
  return s->p.eos_id();
}

int spm_pad(const spm *s) {
  return s->p.pad_id();
}

int64_t spm_encode(const spm *s, const char *text, size_t n, int32_t *ids, int64_t most, char *why, size_t room) {
  try {
    std::vector<int> all;
    sentencepiece::util::Status status = s->p.Encode({text, n}, &all);
    if (!status.ok()) return failed(why, room, status.ToString().c_str());
    for (size_t i = 0; i < all.size() && static_cast<int64_t>(i) < most; i++) ids[i] = all[i];
    return static_cast<int64_t>(all.size());
  } catch (const std::exception &e) {
    return failed(why, room, e.what());
  } catch (...) {
    return failed(why, room, "unknown exception");
  }
}
