#ifndef HOLDFAST_NAMES_H
#define HOLDFAST_NAMES_H

#include <stddef.h>
#include <stdint.h>

/// HMAC-SHA-256 (RFC 2104) of several texts at once by one key, by Intel's multi-buffer library: one text waits for its own last
/// round, two fill a processor.
typedef struct holdfast_names holdfast_names;

/// Of a key of 32 bytes. NULL where memory is short, or the library was not built for this kind of processor.
holdfast_names *holdfast_names_make(const void *key);
/// Wipes what it knew.
void holdfast_names_free(holdfast_names *names);

/// What a text must be shorter than: the library counts its bytes in 16 bits.
#define HOLDFAST_NAMES_TEXT_MAX 65535

/// 32 bytes for each of `count` texts of `byte_count` bytes, which begin at `starts` in `bytes`. False, and nothing of use in `made`,
/// where a text is too long or the library refuses.
_Bool holdfast_names_of(holdfast_names *names, const void *bytes, const size_t *starts, size_t count, size_t byte_count, void *made);

#endif
