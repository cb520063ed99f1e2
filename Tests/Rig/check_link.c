#define _GNU_SOURCE
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

void json_text(const char *text) {
    putchar('"');
    for (; text && *text; text++) {
        if (*text == '"' || *text == '\\') printf("\\%c", *text);
        else if ((unsigned char)*text < ' ') printf("\\u%04x", (unsigned)*text);
        else putchar(*text);
    }
    putchar('"');
}

bool is_gone(struct nbd_handle *nbd) { return nbd_aio_is_dead(nbd) != 0 || nbd_aio_is_closed(nbd) != 0; }

static int milliseconds_until(uint64_t until_ns) {
    uint64_t now = now_ns();
    if (now >= until_ns) return 0;
    uint64_t left = (until_ns - now) / 1000000 + 1;
    return left > 1000 ? 1000 : (int)left;
}

// Never nbd_connect_uri: it waits without a limit on a server which accepts and then says nothing.
struct nbd_handle *connect_within(const char *uri, uint64_t limit_ms) {
    struct nbd_handle *nbd = nbd_create();
    if (!nbd) return NULL;
    uint64_t until = now_ns() + limit_ms * 1000000;
    if (nbd_aio_connect_uri(nbd, uri) < 0) goto failed;
    while (nbd_aio_is_connecting(nbd) == 1) {
        if (now_ns() >= until) goto failed;
        if (nbd_poll(nbd, milliseconds_until(until)) < 0) goto failed;
    }
    if (nbd_aio_is_ready(nbd) == 1) return nbd;
failed:
    nbd_close(nbd);
    return NULL;
}

// 1: answered well, 0: no answer until then, -1: refused or the connection is lost.
int await_command(struct nbd_handle *nbd, int64_t cookie, uint64_t until_ns) {
    for (;;) {
        int done = nbd_aio_command_completed(nbd, (uint64_t)cookie);
        if (done != 0) return done;
        if (is_gone(nbd)) return -1;
        if (now_ns() >= until_ns) return 0;
        if (nbd_poll(nbd, milliseconds_until(until_ns)) < 0 && is_gone(nbd)) {
            // One last look: an answer may have arrived just before the loss.
            done = nbd_aio_command_completed(nbd, (uint64_t)cookie);
            return done == 1 ? 1 : -1;
        }
    }
}
