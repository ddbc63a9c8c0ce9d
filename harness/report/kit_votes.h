/* Votes of a user study: packets that participants send, and the file beside the key that keeps the good ones.
 *
 * A packet is {"format": "tandem-votes", "version": 1, "kit": HASH, "participant": N, "answers": [{"trial": I,
 * "question": Q, "choice": "left" | "right" | "tie", "ms": T}, ...]}: every trial of the participant with every
 * question once, in any order. Packets come from strangers: nothing in one is believed before it is checked. */
#ifndef TD_REPORT_KIT_VOTES_H
#define TD_REPORT_KIT_VOTES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "report/kit_key.h"

typedef enum kit_verdict {
  KIT_ACCEPTED,
  KIT_NOT_JSON,       /* truncated, not JSON, or over KIT_PACKET_LIMIT bytes */
  KIT_NO_PACKET,      /* JSON of another format or version, or members of another type */
  KIT_FOREIGN,        /* of another questionnaire */
  KIT_NO_SUCH_PERSON, /* the participant number does not exist */
  KIT_BAD_ANSWER,     /* a trial, question, choice or time that does not exist */
  KIT_REPEATED,       /* one question about one trial answered twice */
  KIT_INCOMPLETE,     /* an answer is missing */
  KIT_INATTENTIVE,    /* more than a quarter of the answers about broken clips is wrong */
  KIT_SECOND,         /* another packet of that participant was accepted before */
  KIT_VERDICTS
} kit_verdict;
enum { KIT_PACKET_LIMIT = 4 << 20 };

/* Word for files ("accepted", "not_json", ...) and a sentence for people. */
const char *kit_verdict_name(kit_verdict v);
const char *kit_verdict_help(kit_verdict v);

typedef enum kit_choice { KIT_UNANSWERED, KIT_LEFT, KIT_RIGHT, KIT_TIE } kit_choice;

typedef struct kit_packet {
  char sha256[HASH_HEX]; /* of its bytes */
  char *file;            /* name without folders */
  kit_verdict verdict;
  int64_t participant; /* from 1; 0 where the verdict is about something before it */
  int64_t wrong_checks, checks;
  unsigned char *choice; /* [trials][questions] of kit_choice when accepted, else NULL */
} kit_packet;

typedef struct kit_votes {
  kit_packet *at;
  int64_t n, cap;
} kit_votes;

/* Judges one packet against the key and what was accepted before; fills `out`, which the caller owns. An error is a
 * failure of this program (memory), never of the packet. */
int kit_packet_judge(err *e, const kit_key *k, const kit_votes *before, const char *data, size_t n,
                     kit_packet *out) TD_MUST_CHECK;
void kit_packet_free(kit_packet *p);

/* votes.json in the folder of the key; the caller frees *out. */
int kit_votes_path(err *e, const char *key_path, char **out) TD_MUST_CHECK;
/* A file that is not there is no votes. E_FORMAT: damaged or of another questionnaire. */
int kit_votes_read(err *e, const char *path, const kit_key *k, kit_votes *out) TD_MUST_CHECK;
/* Mode 0600; the old file or the whole new one. */
int kit_votes_write(err *e, const char *path, const kit_key *k, const kit_votes *v) TD_MUST_CHECK;
void kit_votes_free(kit_votes *v);

/* Judges the files and adds them; a packet with the bytes of one that is known already is not added again and counts
 * in *known. Files that cannot be read are E_IO, and nothing is added. */
int kit_votes_add(err *e, const kit_key *k, const char *const *files, int64_t n, kit_votes *v,
                  int64_t *known) TD_MUST_CHECK;

#endif
