#define _GNU_SOURCE
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

// The judge's own memory. Append only; the last record may be torn when the judge itself was killed, and then the
// write which it announced was never issued. Anything else that fails its CRC makes the ledger unfit to judge by.
enum kind { KIND_OPEN = 0x4f50454e, KIND_INTENT = 0x494e544e, KIND_FLUSHED = 0x464c5348 };

struct record {
    uint32_t kind, crc;
    uint64_t first, second;
};
_Static_assert(sizeof(struct record) == 24, "a record has no padding");

static uint32_t record_crc(struct record record) {
    record.crc = 0;
    return crc32_of(&record, sizeof record);
}

static int append(struct ledger *ledger, uint32_t kind, uint64_t first, uint64_t second) {
    struct record record = {.kind = kind, .first = first, .second = second};
    record.crc = record_crc(record);
    ssize_t count = write(ledger->descriptor, &record, sizeof record);
    if (count == (ssize_t)sizeof record) return 0;
    fprintf(stderr, "flushcheck: the ledger can't be written: %s\n", strerror(errno));
    return -1;
}

static int start(struct ledger *ledger, uint64_t seed, uint64_t blocks) {
    if (blocks == 0 || blocks > BLOCKS_MAX) {
        fprintf(stderr, "flushcheck: blocks must be 1…%d\n", BLOCKS_MAX);
        return -1;
    }
    ledger->seed = seed;
    ledger->blocks = blocks;
    ledger->known = calloc(blocks, sizeof *ledger->known);
    return ledger->known ? 0 : -1;
}

static int apply(struct ledger *ledger, struct record record) {
    if (record.kind == KIND_OPEN) return ledger->known ? -1 : start(ledger, record.first, record.second);
    if (!ledger->known || record.first >= ledger->blocks) return -1;
    struct known *known = &ledger->known[record.first];
    if (record.kind == KIND_INTENT && record.second == known->issued + 1) {
        known->issued = record.second;
        return 0;
    }
    if (record.kind == KIND_FLUSHED && record.second <= known->issued) {
        if (record.second > known->flushed) known->flushed = record.second;
        return 0;
    }
    return -1;
}

static int replay(struct ledger *ledger) {
    struct stat status;
    if (fstat(ledger->descriptor, &status) < 0) return -1;
    off_t at = 0;
    for (struct record record; at + (off_t)sizeof record <= status.st_size; at += (off_t)sizeof record) {
        if (pread(ledger->descriptor, &record, sizeof record, at) != (ssize_t)sizeof record) return -1;
        if (record.crc == record_crc(record) && apply(ledger, record) == 0) continue;
        fprintf(stderr, "flushcheck: the ledger is damaged at byte %lld\n", (long long)at);
        return -1;
    }
    if (at != status.st_size && ftruncate(ledger->descriptor, at) < 0) return -1;
    return 0;
}

static int open_at(struct ledger *ledger, const char *path, int flags) {
    *ledger = (struct ledger){.descriptor = open(path, flags | O_RDWR | O_APPEND | O_CLOEXEC, 0644)};
    if (ledger->descriptor < 0 || flock(ledger->descriptor, LOCK_EX | LOCK_NB) < 0) {
        fprintf(stderr, "flushcheck: ledger %s: %s\n", path, strerror(errno));
        return -1;
    }
    return replay(ledger);
}

int ledger_open(struct ledger *ledger, const char *path) {
    if (open_at(ledger, path, 0) < 0) return -1;
    if (ledger->known) return 0;
    fprintf(stderr, "flushcheck: the ledger is empty: it can't judge anything\n");
    return -1;
}

int ledger_create_or_open(struct ledger *ledger, const char *path, uint64_t seed, uint64_t blocks) {
    if (open_at(ledger, path, O_CREAT) < 0) return -1;
    if (ledger->known) {
        if (ledger->seed == seed && ledger->blocks == blocks) return 0;
        fprintf(stderr, "flushcheck: the ledger was begun with another seed or number of blocks\n");
        return -1;
    }
    if (start(ledger, seed, blocks) < 0 || append(ledger, KIND_OPEN, seed, blocks) < 0) return -1;
    return ledger_sync(ledger);
}

int ledger_intend(struct ledger *ledger, uint64_t block, uint64_t version) {
    ledger->known[block].issued = version;
    return append(ledger, KIND_INTENT, block, version);
}

int ledger_flushed(struct ledger *ledger, uint64_t block, uint64_t version) {
    if (version > ledger->known[block].flushed) ledger->known[block].flushed = version;
    return append(ledger, KIND_FLUSHED, block, version);
}

int ledger_sync(struct ledger *ledger) {
    if (fdatasync(ledger->descriptor) == 0) return 0;
    fprintf(stderr, "flushcheck: the ledger can't be synced: %s\n", strerror(errno));
    return -1;
}

void ledger_close(struct ledger *ledger) {
    if (ledger->descriptor >= 0) close(ledger->descriptor);
    free(ledger->known);
}
