#define _GNU_SOURCE
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANSWERED_WRITES_PER_FLUSH = 48,
    // One write in so many carries FUA, and is then durable by its own answer.
    FUA_ONE_IN = 8,
};

struct slot {
    bool used, fua;
    int64_t cookie;
    uint64_t block, version;
    uint8_t bytes[BLOCK_BYTES];
};

struct pending {
    uint64_t block, version;
};

struct writer {
    struct nbd_handle *nbd;
    struct ledger ledger;
    struct slot *slots;
    int depth;
    uint64_t random;
    bool *busy;  // one write in flight per block: the order of two is the server's to choose
    // Answered but not yet flushed; the first `covered` of them were answered before the flush in flight was issued.
    struct pending *answered;
    size_t answered_count, covered, answered_max;
    int64_t flush_cookie;
    uint64_t writes_issued, writes_answered, writes_refused, fua_answered, flushes_answered, flushes_refused;
    uint64_t last_flushed_ns, lost_ns;
    bool ledger_failed;
    char error[256];
};

static uint64_t draw(struct writer *writer) {
    uint64_t x = writer->random;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return writer->random = x;
}

static void note_error(struct writer *writer) {
    const char *error = nbd_get_error();
    if (!writer->error[0] && error) snprintf(writer->error, sizeof writer->error, "%s", error);
}

static int free_slots(const struct writer *writer) {
    int count = 0;
    for (int i = 0; i < writer->depth; i++) count += !writer->slots[i].used;
    return count;
}

// Choose, record, sync, and only then issue: a version on the disk that the ledger doesn't know would look foreign.
static void fill(struct writer *writer) {
    int chosen[DEPTH_MAX], count = 0;
    bool fua_possible = nbd_can_fua(writer->nbd) == 1;
    for (int i = 0; i < writer->depth; i++) {
        struct slot *slot = &writer->slots[i];
        if (slot->used) continue;
        uint64_t block = draw(writer) % writer->ledger.blocks;
        if (writer->busy[block]) continue;
        *slot = (struct slot){.used = true, .cookie = -1, .block = block};
        slot->fua = fua_possible && draw(writer) % FUA_ONE_IN == 0;
        slot->version = writer->ledger.known[block].issued + 1;
        block_fill(slot->bytes, (struct stamp){block, slot->version, writer->ledger.seed});
        writer->busy[block] = true;
        if (ledger_intend(&writer->ledger, block, slot->version) < 0) writer->ledger_failed = true;
        chosen[count++] = i;
    }
    if (count > 0 && ledger_sync(&writer->ledger) < 0) writer->ledger_failed = true;
    for (int i = 0; i < count && !writer->ledger_failed; i++) {
        struct slot *slot = &writer->slots[chosen[i]];
        uint32_t flags = slot->fua ? LIBNBD_CMD_FLAG_FUA : 0;
        slot->cookie = nbd_aio_pwrite(
            writer->nbd, slot->bytes, BLOCK_BYTES, slot->block * BLOCK_BYTES, NBD_NULL_COMPLETION, flags);
        if (slot->cookie >= 0) writer->writes_issued++;
        else note_error(writer);
    }
}

static void record_flushed(struct writer *writer, uint64_t block, uint64_t version) {
    if (ledger_flushed(&writer->ledger, block, version) < 0) writer->ledger_failed = true;
}

static void collect_writes(struct writer *writer) {
    for (int i = 0; i < writer->depth; i++) {
        struct slot *slot = &writer->slots[i];
        if (!slot->used) continue;
        int done = slot->cookie < 0 ? -1 : nbd_aio_command_completed(writer->nbd, (uint64_t)slot->cookie);
        if (done == 0) continue;
        slot->used = false;
        writer->busy[slot->block] = false;
        if (done < 0) {
            note_error(writer);
            writer->writes_refused++;
            continue;
        }
        writer->writes_answered++;
        if (slot->fua) {
            writer->fua_answered++;
            writer->last_flushed_ns = now_ns();
            record_flushed(writer, slot->block, slot->version);
        } else if (writer->answered_count < writer->answered_max) {
            writer->answered[writer->answered_count++] = (struct pending){slot->block, slot->version};
        }
    }
}

static void collect_flush(struct writer *writer) {
    if (writer->flush_cookie < 0) return;
    int done = nbd_aio_command_completed(writer->nbd, (uint64_t)writer->flush_cookie);
    if (done == 0) return;
    writer->flush_cookie = -1;
    if (done == 1) {
        writer->flushes_answered++;
        writer->last_flushed_ns = now_ns();
        for (size_t i = 0; i < writer->covered; i++)
            record_flushed(writer, writer->answered[i].block, writer->answered[i].version);
    } else {
        // A refused flush leaves its writes in doubt for ever: no later flush may be taken to cover them.
        note_error(writer);
        writer->flushes_refused++;
    }
    size_t left = writer->answered_count - writer->covered;
    memmove(writer->answered, writer->answered + writer->covered, left * sizeof *writer->answered);
    writer->answered_count = left;
    writer->covered = 0;
}

static void flush_if(struct writer *writer, bool wanted) {
    if (!wanted || writer->flush_cookie >= 0 || is_gone(writer->nbd)) return;
    writer->covered = writer->answered_count;
    writer->flush_cookie = nbd_aio_flush(writer->nbd, NBD_NULL_COMPLETION, 0);
    if (writer->flush_cookie >= 0) return;
    writer->covered = 0;
    note_error(writer);
}

static void collect(struct writer *writer) {
    collect_writes(writer);
    collect_flush(writer);
}

static void pump(struct writer *writer, uint64_t until_ns) {
    while (now_ns() < until_ns && !is_gone(writer->nbd) && !writer->ledger_failed) {
        // Refilling in batches lets one sync of the ledger pay for several writes.
        // Unflushed answers are bounded: when a flush hangs, no more writes are issued.
        bool room = writer->answered_count + (size_t)writer->depth <= writer->answered_max;
        if (room && free_slots(writer) * 4 >= writer->depth) fill(writer);
        if (nbd_poll(writer->nbd, 100) < 0) note_error(writer);
        collect(writer);
        flush_if(writer, writer->answered_count >= ANSWERED_WRITES_PER_FLUSH);
    }
}

// True when every request was answered; the last flush covers every answered write.
static bool drain(struct writer *writer) {
    uint64_t until = now_ns() + (uint64_t)DRAIN_MS_MAX * 1000000;
    while (!is_gone(writer->nbd) && now_ns() < until) {
        collect(writer);
        bool idle = free_slots(writer) == writer->depth;
        if (idle && writer->flush_cookie < 0 && writer->answered_count == 0) return true;
        flush_if(writer, idle);
        if (nbd_poll(writer->nbd, 100) < 0) note_error(writer);
    }
    collect(writer);
    return false;
}

static int report(struct writer *writer, bool drained) {
    bool lost = is_gone(writer->nbd);
    const char *outcome = writer->ledger_failed ? "ledgerFailed"
                          : lost                ? "lost"
                          : drained             ? "finished"
                                                : "stalled";
    printf("{\"mode\":\"write\",\"outcome\":\"%s\",\"writesIssued\":%llu,\"writesAnswered\":%llu,"
           "\"writesRefused\":%llu,\"fuaAnswered\":%llu,\"flushesAnswered\":%llu,\"flushesRefused\":%llu,"
           "\"lastFlushedNs\":%llu,\"stoppedNs\":%llu,\"error\":",
           outcome, (unsigned long long)writer->writes_issued, (unsigned long long)writer->writes_answered,
           (unsigned long long)writer->writes_refused, (unsigned long long)writer->fua_answered,
           (unsigned long long)writer->flushes_answered, (unsigned long long)writer->flushes_refused,
           (unsigned long long)writer->last_flushed_ns, (unsigned long long)writer->lost_ns);
    json_text(writer->error);
    puts("}");
    if (writer->ledger_failed) return EXIT_UNFIT;
    return lost || !drained ? EXIT_LOST : EXIT_PASS;
}

int run_write(const struct options *options) {
    static struct writer writer;
    writer = (struct writer){.depth = options->depth, .flush_cookie = -1};
    if (ledger_create_or_open(&writer.ledger, options->ledger, options->seed, options->blocks) < 0) return EXIT_UNFIT;
    writer.nbd = connect_within(options->uris[0], CONNECT_MS_MAX);
    if (!writer.nbd) {
        fprintf(stderr, "flushcheck: %s\n", nbd_get_error() ? nbd_get_error() : "no connection");
        return EXIT_UNFIT;
    }
    int64_t size = nbd_get_size(writer.nbd);
    if (size < 0 || (uint64_t)size / BLOCK_BYTES < options->blocks || nbd_can_flush(writer.nbd) != 1) {
        fprintf(stderr, "flushcheck: the export is too small for these blocks or knows no FLUSH\n");
        return EXIT_UNFIT;
    }
    // Another order of blocks in every run, one and the same for equal seeds and ledgers.
    writer.random = (options->seed + 1) * 0x9e3779b97f4a7c15u;
    for (uint64_t i = 0; i < options->blocks; i++) writer.random += writer.ledger.known[i].issued * 0xff51afd7ed558ccdu;
    if (writer.random == 0) writer.random = 1;
    writer.answered_max = (size_t)options->depth * 2 + ANSWERED_WRITES_PER_FLUSH * 2;
    writer.slots = calloc((size_t)options->depth, sizeof *writer.slots);
    writer.busy = calloc(options->blocks, sizeof *writer.busy);
    writer.answered = calloc(writer.answered_max, sizeof *writer.answered);
    if (!writer.slots || !writer.busy || !writer.answered) return EXIT_UNFIT;
    pump(&writer, now_ns() + options->seconds * 1000000000u);
    bool drained = !writer.ledger_failed && drain(&writer);
    writer.lost_ns = now_ns();
    if (ledger_sync(&writer.ledger) < 0) writer.ledger_failed = true;
    int code = report(&writer, drained);
    nbd_close(writer.nbd);
    ledger_close(&writer.ledger);
    free(writer.slots), free(writer.busy), free(writer.answered);
    return code;
}
