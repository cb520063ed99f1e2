#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    ACCEPTS_MAX = 1 << 20,
    SESSIONS_MAX = 1 << 16,
    RETRY_MS = 5,
    TRY_CONNECT_MS_MAX = 1000,
    // `try` writes only to the last blocks of an export, one per URI, so that `write` can own the others.
    TRY_BLOCKS = URIS_MAX,
};

// One accepted write: it took effect at some instant from issue to answer.
struct accept {
    uint64_t issue_ns, answer_ns;
};

// The accepts of one connection. A server which stops being primary drops its connections, so one connection is one reign.
struct session {
    size_t first, count;
};

struct server {
    int index;
    const char *uri;
    const struct options *options;
    uint64_t start_ns, until_ns, first_ns, losses, refusals;
    struct accept *accepts;
    struct session *sessions;
    size_t accept_count, session_count;
    bool overfull;
};

static pthread_mutex_t voice = PTHREAD_MUTEX_INITIALIZER;

static void tell(const struct server *server, const char *event, uint64_t at_ns) {
    pthread_mutex_lock(&voice);
    printf("{\"event\":\"%s\",\"uri\":%d,\"ns\":%llu}\n", event, server->index, (unsigned long long)at_ns);
    fflush(stdout);
    pthread_mutex_unlock(&voice);
}

static void rest(uint64_t milliseconds) {
    struct timespec time = {(time_t)(milliseconds / 1000), (long)(milliseconds % 1000) * 1000000};
    nanosleep(&time, NULL);
}

// A write and then a FLUSH. There is no limit but the end of the run: an answer that comes late is evidence.
static int flushed_write(struct server *server, struct nbd_handle *nbd, uint64_t version, struct accept *accept) {
    static _Thread_local uint8_t bytes[BLOCK_BYTES];
    int64_t size = nbd_get_size(nbd);
    if (size < (int64_t)TRY_BLOCKS * BLOCK_BYTES) return -1;
    uint64_t block = (uint64_t)size / BLOCK_BYTES - TRY_BLOCKS + (uint64_t)server->index;
    block_fill(bytes, (struct stamp){block, version, server->options->seed});
    accept->issue_ns = now_ns();
    int64_t cookie = nbd_aio_pwrite(nbd, bytes, BLOCK_BYTES, block * BLOCK_BYTES, NBD_NULL_COMPLETION, 0);
    if (cookie < 0) return -1;
    int done = await_command(nbd, cookie, server->until_ns);
    if (done != 1) return done;
    cookie = nbd_aio_flush(nbd, NBD_NULL_COMPLETION, 0);
    if (cookie < 0) return -1;
    done = await_command(nbd, cookie, server->until_ns);
    accept->answer_ns = now_ns();
    return done;
}

static void reign(struct server *server, struct nbd_handle *nbd, uint64_t *version, bool *lost) {
    struct session session = {.first = server->accept_count};
    while (now_ns() < server->until_ns && !is_gone(nbd)) {
        struct accept accept;
        int done = flushed_write(server, nbd, ++*version, &accept);
        if (done == 1 && server->accept_count < ACCEPTS_MAX) {
            if (*lost) tell(server, "accepted", accept.answer_ns);
            if (server->first_ns == 0) server->first_ns = accept.answer_ns;
            *lost = false;
            server->accepts[server->accept_count++] = accept;
            session.count++;
        } else if (done == 1) {
            server->overfull = true;
            break;
        } else if (done == -1) {
            server->refusals++;
            if (!*lost) tell(server, "lost", now_ns()), server->losses++;
            *lost = true;
        }
        rest(server->options->interval_ms);
    }
    if (session.count > 0) server->sessions[server->session_count++] = session;
}

static void *serve(void *argument) {
    struct server *server = argument;
    uint64_t version = 0;
    bool lost = true;
    while (now_ns() < server->until_ns && !server->overfull) {
        struct nbd_handle *nbd = connect_within(server->uri, TRY_CONNECT_MS_MAX);
        if (nbd) {
            reign(server, nbd, &version, &lost);
            nbd_close(nbd);
            if (!lost && now_ns() < server->until_ns) {
                lost = true;
                server->losses++;
                tell(server, "lost", now_ns());
            }
        }
        if (server->session_count == SESSIONS_MAX) server->overfull = true;
        if (now_ns() < server->until_ns) rest(RETRY_MS);
    }
    return NULL;
}

// Two reigns are lawful when all of one can have taken effect before all of the other: the last issue of the earlier is
// before the first answer of the later. Mere overlap is lawful, too: a paused primary may answer late what it had
// accepted before. What no order explains is a dual accept; counted are the older reign's writes issued after the newer
// one's first answer.
static uint64_t dual_accepts(const struct server *a, struct session sa, const struct server *b, struct session sb) {
    uint64_t a_first = a->accepts[sa.first].answer_ns, b_first = b->accepts[sb.first].answer_ns;
    uint64_t a_last = a->accepts[sa.first + sa.count - 1].issue_ns;
    uint64_t b_last = b->accepts[sb.first + sb.count - 1].issue_ns;
    if (a_last < b_first || b_last < a_first) return 0;
    const struct server *older = a_first <= b_first ? a : b;
    struct session old = older == a ? sa : sb;
    uint64_t newer_first = older == a ? b_first : a_first, count = 0;
    for (size_t i = 0; i < old.count; i++) count += older->accepts[old.first + i].issue_ns >= newer_first;
    return count;
}

// Both lists are in order of time, so one sweep finds every accept which overlaps some accept of the other server.
static uint64_t overlaps(const struct server *a, const struct server *b) {
    uint64_t count = 0;
    for (size_t i = 0, j = 0; i < a->accept_count; i++) {
        while (j < b->accept_count && b->accepts[j].answer_ns < a->accepts[i].issue_ns) j++;
        if (j < b->accept_count && b->accepts[j].issue_ns <= a->accepts[i].answer_ns) count++;
    }
    return count;
}

static int report(const struct server *servers, int count) {
    uint64_t dual = 0, overlap = 0;
    bool overfull = false;
    for (int i = 0; i < count; i++) {
        overfull |= servers[i].overfull;
        for (int j = i + 1; j < count; j++) {
            const struct server *a = &servers[i], *b = &servers[j];
            overlap += overlaps(a, b);
            for (size_t k = 0; k < a->session_count; k++)
                for (size_t l = 0; l < b->session_count; l++)
                    dual += dual_accepts(a, a->sessions[k], b, b->sessions[l]);
        }
    }
    printf("{\"mode\":\"try\",\"dual_accept\":%llu,\"overlapping\":%llu,\"overfull\":%s,\"servers\":[",
           (unsigned long long)dual, (unsigned long long)overlap, overfull ? "true" : "false");
    for (int i = 0; i < count; i++) {
        const struct server *server = &servers[i];
        printf("%s{\"uri\":", i ? "," : "");
        json_text(server->uri);
        printf(",\"accepted\":%zu,\"refused\":%llu,\"losses\":%llu,\"startNs\":%llu,\"firstAcceptNs\":",
               server->accept_count, (unsigned long long)server->refusals, (unsigned long long)server->losses,
               (unsigned long long)server->start_ns);
        if (server->first_ns) printf("%llu}", (unsigned long long)server->first_ns);
        else printf("null}");
    }
    puts("]}");
    if (overfull) return EXIT_UNFIT;
    return dual ? EXIT_FAULTS : EXIT_PASS;
}

int run_try(const struct options *options) {
    static struct server servers[URIS_MAX];
    pthread_t threads[URIS_MAX];
    uint64_t start = now_ns();
    for (int i = 0; i < options->uri_count; i++) {
        servers[i] = (struct server){.index = i, .uri = options->uris[i], .options = options, .start_ns = start};
        servers[i].until_ns = start + options->seconds * 1000000000u;
        servers[i].accepts = calloc(ACCEPTS_MAX, sizeof(struct accept));
        servers[i].sessions = calloc(SESSIONS_MAX, sizeof(struct session));
        if (!servers[i].accepts || !servers[i].sessions) return EXIT_UNFIT;
        if (pthread_create(&threads[i], NULL, serve, &servers[i]) != 0) return EXIT_UNFIT;
    }
    for (int i = 0; i < options->uri_count; i++) pthread_join(threads[i], NULL);
    int code = report(servers, options->uri_count);
    for (int i = 0; i < options->uri_count; i++) free(servers[i].accepts), free(servers[i].sessions);
    return code;
}
