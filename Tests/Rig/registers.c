// Clients of a few blocks, each of which is a register: several at once read and write them with FUA, follow the primary
// from server to server, and note when each request was begun and answered. torture.py judges what they noted.
#define _GNU_SOURCE
#include "check.h"

#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    CLIENTS_MAX = 16,
    REGISTERS_MAX = 1024,
    REST_MS = 8,
    RETRY_MS = 5,
    HANDSHAKE_MS_MAX = 250,
    // Later than this an answer isn't waited for: a paused server would hold its clients while another reigns.
    ANSWER_MS_MAX = 1000,
    CLIENT_SHIFT = 40,
};

static const char *uris[URIS_MAX];
static int uri_count;
static uint64_t registers = 16, clients = 4, seed = 1, seconds = 10;
static FILE *notes;
static volatile sig_atomic_t asked_to_end;

struct client {
    uint64_t index, random, sequence, connections;
    int uri;
    pthread_t thread;
};

static uint64_t draw(struct client *client) {
    uint64_t x = client->random;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return client->random = x;
}

static void rest(uint64_t milliseconds) {
    struct timespec time = {(time_t)(milliseconds / 1000), (long)(milliseconds % 1000) * 1000000};
    nanosleep(&time, NULL);
}

// One line, one write: a reader that looks while we run sees whole lines.
static void note(const struct client *client, char kind, uint64_t block, const char *value, uint64_t began, const char *end) {
    fprintf(notes, "%llu %c %llu %s %llu %s\n", (unsigned long long)client->index, kind, (unsigned long long)block, value,
            (unsigned long long)began, end);
}

static int answered(struct nbd_handle *nbd, int64_t cookie, uint64_t until_ns) {
    return cookie < 0 ? -1 : await_command(nbd, cookie, until_ns);
}

// Any end but an answer leaves open whether the write takes effect, and when.
static bool write_register(struct client *client, struct nbd_handle *nbd, uint64_t block) {
    uint8_t bytes[BLOCK_BYTES];
    uint64_t version = client->index << CLIENT_SHIFT | ++client->sequence;
    block_fill(bytes, (struct stamp){block, version, seed});
    uint64_t began = now_ns();
    int64_t cookie = nbd_aio_pwrite(nbd, bytes, BLOCK_BYTES, block * BLOCK_BYTES, NBD_NULL_COMPLETION, LIBNBD_CMD_FLAG_FUA);
    bool good = answered(nbd, cookie, began + (uint64_t)ANSWER_MS_MAX * 1000000) == 1;
    char value[32], end[32] = "unknown";
    snprintf(value, sizeof value, "%llu", (unsigned long long)version);
    if (good) snprintf(end, sizeof end, "%llu", (unsigned long long)now_ns());
    note(client, 'w', block, value, began, end);
    return good;
}

// A disk with a volatile cache may show a write and still lose it, until it is flushed: so a read counts only when the FLUSH
// behind it was answered, and then what it saw can't be lost.
static bool read_register(struct client *client, struct nbd_handle *nbd, uint64_t block) {
    uint8_t bytes[BLOCK_BYTES];
    uint64_t began = now_ns(), until = began + (uint64_t)ANSWER_MS_MAX * 1000000;
    if (answered(nbd, nbd_aio_pread(nbd, bytes, BLOCK_BYTES, block * BLOCK_BYTES, NBD_NULL_COMPLETION, 0), until) != 1)
        return false;
    if (answered(nbd, nbd_aio_flush(nbd, NBD_NULL_COMPLETION, 0), until) != 1) return false;
    uint64_t ended = now_ns();
    struct stamp stamp = {0};
    enum content content = block_read(bytes, &stamp);
    char value[32], end[32];
    if (content == CONTENT_TORN) snprintf(value, sizeof value, "torn");
    else if (content == CONTENT_FOREIGN || (content == CONTENT_WHOLE && (stamp.block != block || stamp.seed != seed)))
        snprintf(value, sizeof value, "foreign");
    else snprintf(value, sizeof value, "%llu", (unsigned long long)stamp.version);
    snprintf(end, sizeof end, "%llu", (unsigned long long)ended);
    note(client, 'r', block, value, began, end);
    return true;
}

static bool is_over(uint64_t until_ns) { return asked_to_end || now_ns() >= until_ns; }

static void use(struct client *client, struct nbd_handle *nbd, uint64_t until_ns) {
    if (nbd_get_size(nbd) < (int64_t)(registers * BLOCK_BYTES)) return;
    client->connections++;
    for (bool good = true; good && !is_over(until_ns); rest(REST_MS)) {
        uint64_t block = draw(client) % registers;
        good = draw(client) % 2 ? write_register(client, nbd, block) : read_register(client, nbd, block);
    }
}

static void *work(void *argument) {
    struct client *client = argument;
    uint64_t until = now_ns() + seconds * 1000000000u;
    while (!is_over(until)) {
        struct nbd_handle *nbd = connect_within(uris[client->uri], HANDSHAKE_MS_MAX);
        if (nbd) use(client, nbd, until), nbd_close(nbd);
        client->uri = (client->uri + 1) % uri_count;
        rest(RETRY_MS);
    }
    return NULL;
}

static void end(int number) { (void)number, asked_to_end = 1; }

static bool number(uint64_t low, uint64_t high, uint64_t *into) {
    char *rest_of;
    *into = strtoull(optarg, &rest_of, 10);
    return *optarg >= '0' && *optarg <= '9' && !*rest_of && *into >= low && *into <= high;
}

static bool parse(int count, char **words) {
    static const struct option names[] = {
        {"uri", required_argument, NULL, 'u'},     {"notes", required_argument, NULL, 'n'},
        {"seed", required_argument, NULL, 's'},    {"registers", required_argument, NULL, 'r'},
        {"clients", required_argument, NULL, 'c'}, {"seconds", required_argument, NULL, 't'}, {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(count, words, "", names, NULL)) != -1;) {
        bool good = false;
        if (option == 'u' && (good = uri_count < URIS_MAX)) uris[uri_count++] = optarg;
        if (option == 'n') good = (notes = fopen(optarg, "we")) != NULL;
        if (option == 's') good = number(1, UINT32_MAX, &seed);
        if (option == 'r') good = number(1, REGISTERS_MAX, &registers);
        if (option == 'c') good = number(1, CLIENTS_MAX, &clients);
        if (option == 't') good = number(1, 86400, &seconds);
        if (!good) return false;
    }
    return optind == count && uri_count > 0 && notes;
}

int main(int count, char **words) {
    static struct client all[CLIENTS_MAX];
    if (!parse(count, words)) {
        fputs("registers --uri URI [--uri URI]… --notes FILE [--registers 16] [--clients 4] [--seed 1] [--seconds 10]\n"
              "SIGTERM ends it early. exit: 0 done, 2 not able to\n", stderr);
        return EXIT_UNFIT;
    }
    setvbuf(notes, NULL, _IOLBF, BUFSIZ);
    signal(SIGTERM, end);
    uint64_t connections = 0;
    for (uint64_t i = 0; i < clients; i++) {
        all[i] = (struct client){.index = i + 1, .random = (seed + i + 1) * 0x9e3779b97f4a7c15u};
        if (pthread_create(&all[i].thread, NULL, work, &all[i]) != 0) return EXIT_UNFIT;
    }
    for (uint64_t i = 0; i < clients; i++) pthread_join(all[i].thread, NULL), connections += all[i].connections;
    bool kept = fclose(notes) == 0;
    printf("{\"mode\":\"registers\",\"connections\":%llu,\"kept\":%s}\n", (unsigned long long)connections,
           kept ? "true" : "false");
    return kept ? EXIT_PASS : EXIT_UNFIT;
}
