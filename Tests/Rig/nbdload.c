// Sequential load with a known content, timed per request: `write` fills an export, `check` reads it back.
#define _GNU_SOURCE
#include "check.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
    REQUEST_BYTES_MAX = 32 << 20,
    LOAD_DEPTH_MAX = 256,
    LATENCIES_MAX = 1 << 23,
    // A server which answers nothing for so long is lost, whatever its connection says.
    SILENCE_MS_MAX = 60000,
};

struct load {
    const char *uri, *certificates;
    uint64_t offset, bytes, block, depth, seconds, seed;
    bool fua, is_check;
    struct nbd_handle *nbd;
    struct request *requests;
    uint32_t *latencies_us;
    uint64_t answered, refused, differing, last_answer_ns;
};

struct request {
    struct load *load;
    bool used;
    uint64_t offset, issued_ns;
    uint8_t *bytes;
};

// splitmix64 of the place: every eight bytes of an export differ, and none can be guessed from a neighbour.
static uint64_t word_at(uint64_t seed, uint64_t offset) {
    uint64_t x = (seed + 1) * 0xd1342543de82ef95u + (offset / 8) * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static void content(uint64_t seed, uint64_t offset, uint8_t *into, uint64_t count) {
    for (uint64_t i = 0; i < count; i += 8) {
        uint64_t word = word_at(seed, offset + i);
        memcpy(into + i, &word, 8);
    }
}

static uint64_t wrong_words(const struct request *request) {
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < request->load->block; i += 8) {
        uint64_t expected = word_at(request->load->seed, request->offset + i), found;
        memcpy(&found, request->bytes + i, 8);
        wrong += found != expected;
    }
    return wrong;
}

static int answered(void *data, int *error) {
    struct request *request = data;
    struct load *load = request->load;
    uint64_t now = now_ns(), microseconds = (now - request->issued_ns) / 1000;
    load->last_answer_ns = now;
    request->used = false;
    if (*error) {
        load->refused++;
        return 1;
    }
    if (load->is_check && wrong_words(request) > 0) load->differing++;
    if (load->answered < LATENCIES_MAX)
        load->latencies_us[load->answered] = microseconds > UINT32_MAX ? UINT32_MAX : (uint32_t)microseconds;
    load->answered++;
    return 1;
}

static bool issue(struct load *load, struct request *request, uint64_t offset) {
    request->used = true;
    request->offset = offset;
    if (!load->is_check) content(load->seed, offset, request->bytes, load->block);
    request->issued_ns = now_ns();
    nbd_completion_callback done = {.callback = answered, .user_data = request};
    int64_t cookie = load->is_check
        ? nbd_aio_pread(load->nbd, request->bytes, load->block, offset, done, 0)
        : nbd_aio_pwrite(load->nbd, request->bytes, load->block, offset, done, load->fua ? LIBNBD_CMD_FLAG_FUA : 0);
    return cookie >= 0;
}

static uint64_t in_flight(const struct load *load) {
    uint64_t count = 0;
    for (uint64_t i = 0; i < load->depth; i++) count += load->requests[i].used;
    return count;
}

static bool is_silent(const struct load *load) {
    return now_ns() - load->last_answer_ns > (uint64_t)SILENCE_MS_MAX * 1000000;
}

// Returns false when the connection was lost or a request could not be issued.
static bool pump(struct load *load, uint64_t until_ns) {
    uint64_t next = load->offset, end = load->offset + load->bytes;
    load->last_answer_ns = now_ns();
    for (;;) {
        bool more = next + load->block <= end && now_ns() < until_ns;
        for (uint64_t i = 0; more && i < load->depth; i++) {
            if (load->requests[i].used) continue;
            if (!issue(load, &load->requests[i], next)) return false;
            next += load->block;
            more = next + load->block <= end;
        }
        if (!more && in_flight(load) == 0) return true;
        if (nbd_poll(load->nbd, 1000) < 0 || is_gone(load->nbd) || is_silent(load)) return false;
    }
}

static bool flush(struct load *load) {
    int64_t cookie = nbd_aio_flush(load->nbd, NBD_NULL_COMPLETION, 0);
    return cookie >= 0
           && await_command(load->nbd, cookie, now_ns() + (uint64_t)SILENCE_MS_MAX * 1000000) == 1;
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double milliseconds_at(const struct load *load, double part) {
    uint64_t count = load->answered < LATENCIES_MAX ? load->answered : LATENCIES_MAX;
    return count ? load->latencies_us[(uint64_t)((double)(count - 1) * part)] / 1000.0 : 0;
}

static double cpu_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec)
           + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static int report(struct load *load, bool finished, double seconds) {
    double cpu = cpu_seconds();
    uint64_t count = load->answered < LATENCIES_MAX ? load->answered : LATENCIES_MAX;
    qsort(load->latencies_us, count, sizeof *load->latencies_us, by_size);
    printf("{\"mode\":\"%s\",\"outcome\":\"%s\",\"answered\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"differing\":%" PRIu64
           ",\"bytes\":%" PRIu64 ",\"seconds\":%.6f,\"cpuSeconds\":%.3f,\"p50Ms\":%.3f,\"p99Ms\":%.3f,\"maxMs\":%.3f,\"error\":",
           load->is_check ? "check" : "write", finished ? "finished" : "lost", load->answered, load->refused,
           load->differing, load->answered * load->block, seconds, cpu, milliseconds_at(load, 0.5),
           milliseconds_at(load, 0.99), milliseconds_at(load, 1));
    json_text(finished ? "" : nbd_get_error());
    puts("}");
    if (!finished) return EXIT_LOST;
    return load->refused || load->differing ? EXIT_FAULTS : EXIT_PASS;
}

static struct nbd_handle *connect_to(const struct load *load) {
    if (!load->certificates) return connect_within(load->uri, CONNECT_MS_MAX);
    struct nbd_handle *nbd = nbd_create();
    if (!nbd) return NULL;
    bool good = nbd_set_tls(nbd, LIBNBD_TLS_REQUIRE) == 0 && nbd_set_tls_verify_peer(nbd, true) == 0
                && nbd_set_tls_certificates(nbd, load->certificates) == 0 && nbd_aio_connect_uri(nbd, load->uri) == 0;
    uint64_t until = now_ns() + (uint64_t)CONNECT_MS_MAX * 1000000;
    while (good && nbd_aio_is_connecting(nbd) == 1) good = now_ns() < until && nbd_poll(nbd, 100) >= 0;
    if (good && nbd_aio_is_ready(nbd) == 1 && nbd_get_tls_negotiated(nbd) == 1) return nbd;
    fprintf(stderr, "nbdload: %s: %s\n", load->uri, nbd_get_error() ? nbd_get_error() : "no TLS connection");
    nbd_close(nbd);
    return NULL;
}

static int run(struct load *load) {
    load->nbd = connect_to(load);
    if (!load->nbd) {
        fprintf(stderr, "nbdload: no connection to %s\n", load->uri);
        return EXIT_UNFIT;
    }
    int64_t size = nbd_get_size(load->nbd);
    if (size < 0 || (uint64_t)size < load->offset + load->bytes || (load->fua && nbd_can_fua(load->nbd) != 1)) {
        fprintf(stderr, "nbdload: the export is too small or knows no FUA\n");
        return EXIT_UNFIT;
    }
    load->latencies_us = calloc(LATENCIES_MAX, sizeof *load->latencies_us);
    load->requests = calloc(load->depth, sizeof *load->requests);
    if (!load->latencies_us || !load->requests) return EXIT_UNFIT;
    for (uint64_t i = 0; i < load->depth; i++) {
        load->requests[i] = (struct request){.load = load, .bytes = malloc(load->block)};
        if (!load->requests[i].bytes) return EXIT_UNFIT;
    }
    uint64_t start = now_ns();
    bool finished = pump(load, start + load->seconds * 1000000000u);
    // The time of the load includes the flush: what isn't flushed isn't written.
    if (finished && !load->is_check) finished = flush(load);
    return report(load, finished, (double)(now_ns() - start) / 1e9);
}

static bool number(const char *text, uint64_t low, uint64_t high, uint64_t *into) {
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || value < low || value > high) return false;
    *into = value;
    return true;
}

static bool parse(int count, char **words, struct load *load) {
    static const struct option names[] = {
        {"uri", required_argument, NULL, 'u'},    {"certificates", required_argument, NULL, 'c'},
        {"bytes", required_argument, NULL, 'b'},  {"block", required_argument, NULL, 'k'},
        {"depth", required_argument, NULL, 'd'},  {"seconds", required_argument, NULL, 't'},
        {"seed", required_argument, NULL, 's'},   {"offset", required_argument, NULL, 'o'},
        {"fua", no_argument, NULL, 'f'},          {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(count, words, "", names, NULL)) != -1;) {
        bool good = false;
        if (option == 'u') good = true, load->uri = optarg;
        if (option == 'c') good = true, load->certificates = optarg;
        if (option == 'f') good = true, load->fua = true;
        if (option == 'b') good = number(optarg, 1, UINT64_MAX / 2, &load->bytes);
        if (option == 'o') good = number(optarg, 0, UINT64_MAX / 2, &load->offset);
        if (option == 'k') good = number(optarg, 8, REQUEST_BYTES_MAX, &load->block) && load->block % 8 == 0;
        if (option == 'd') good = number(optarg, 1, LOAD_DEPTH_MAX, &load->depth);
        if (option == 't') good = number(optarg, 1, 86400, &load->seconds);
        if (option == 's') good = number(optarg, 0, UINT64_MAX, &load->seed);
        if (!good) return false;
    }
    bool aligned = load->bytes % load->block == 0 && load->offset % load->block == 0;
    return optind == count && load->uri && load->bytes && aligned;
}

int main(int count, char **words) {
    struct load load = {.block = 262144, .depth = 16, .seconds = 3600, .seed = 1};
    if (count >= 2 && parse(count - 1, words + 1, &load)) {
        load.is_check = strcmp(words[1], "check") == 0;
        if (load.is_check || strcmp(words[1], "write") == 0) return run(&load);
    }
    fputs("nbdload write --uri URI --bytes N [--block 262144] [--depth 16] [--offset 0] [--seconds 3600] [--seed 1]\n"
          "        [--fua] [--certificates DIR]\n"
          "nbdload check: reads the same and compares\n"
          "exit: 0 well, 1 refused or differing, 2 not able to measure, 3 connection lost\n", stderr);
    return EXIT_UNFIT;
}
