/* The service's part in the benchmark: it answers Job_GetTaskCounts over loopback, and costs next to nothing.
 *
 * One process, one thread, epoll; any number of kept connections. It answers as the service does: its headers, a
 * fresh request-id, the client-request-id where its return is asked for, 404 JobNotFound for what isn't there, and
 * 403 for what isn't signed; a signature is looked for, not verified, since that would be this process' time.
 *
 *     responder [--tls CERTIFICATE KEY] SCHEME,BODY,LATENCY ...
 *
 * listens once for each group: http or https, chunked or length, milliseconds from a request to its answer; and
 * prints the ports, a line each, in that order. GET /-/status tells how long the process has worked so far, and how
 * many requests and connections there were. It ends with its standard input, so that it outlives nobody.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#else
typedef void SSL;
#endif

#define ROOM 16384
#define ANSWER 2048
#define LISTENERS 16

static const char BODY[] =
    "{\"odata.metadata\":\"https://account.eastus.batch.azure.com/$metadata#taskcountsresult/@Element\","
    "\"taskCounts\":{\"active\":5,\"running\":3,\"completed\":12,\"succeeded\":10,\"failed\":2},"
    "\"taskSlotCounts\":{\"active\":5,\"running\":3,\"completed\":12,\"succeeded\":10,\"failed\":2}}";
static const char NOT_FOUND[] =
    "{\"odata.metadata\":\"https://account.eastus.batch.azure.com/$metadata#"
    "Microsoft.Azure.Batch.Protocol.Entities.Container.errors/@Element\",\"code\":\"JobNotFound\","
    "\"message\":{\"lang\":\"en-US\",\"value\":\"The specified job does not exist.\"}}";
static const char FORBIDDEN[] =
    "{\"odata.metadata\":\"https://account.eastus.batch.azure.com/$metadata#"
    "Microsoft.Azure.Batch.Protocol.Entities.Container.errors/@Element\",\"code\":\"AuthenticationFailed\","
    "\"message\":{\"lang\":\"en-US\",\"value\":\"Server failed to authenticate the request.\"}}";

/* What an event is about; the first member of everything that epoll knows. */
enum kind { LISTENER, CONNECTION, TIMER, INPUT };

struct later;

struct listener {
    enum kind kind;
    int file;
    bool tls, chunked;
    int64_t latency;
    struct later *first, *last; /* One latency: the answers fall due in the order of the requests. */
};

struct connection {
    enum kind kind;
    int file;
    SSL *tls;
    struct listener *listener;
    struct connection *next; /* In the list of those to be freed. */
    int waiting;             /* Answers that are due later. */
    bool gone, writing, last;
    size_t read, kept, sent;
    char in[ROOM], out[ROOM];
};

struct later {
    struct connection *connection;
    struct later *next;
    int64_t due;
    size_t size;
    char answer[ANSWER];
};

static int events, timer;
static enum kind timer_source = TIMER, input_source = INPUT;
static struct listener listeners[LISTENERS];
static int listening;
static struct connection *dead;
static struct later *spare;
static uint64_t requests, connections;
static int64_t armed;
#ifdef WITH_TLS
static SSL_CTX *context;
#endif

static void fail(const char *what) {
    fprintf(stderr, "responder: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* Answers ------------------------------------------------------------------------------------------------------- */

static const char *date(void) {
    static char text[32];
    static time_t written;
    time_t second = time(NULL);
    if (second != written) {
        struct tm parts;
        gmtime_r(&second, &parts);
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
        written = second;
    }
    return text;
}

/* A GUID that nobody has to be unable to guess. */
static void fresh_id(char id[37]) {
    static uint64_t state;
    uint64_t parts[2];
    if (state == 0)
        state = (uint64_t)now(CLOCK_REALTIME) | 1;
    for (int part = 0; part < 2; part++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        parts[part] = state;
    }
    snprintf(id, 37, "%08x-%04x-4%03x-8%03x-%012llx", (unsigned)(parts[0] >> 32), (unsigned)(parts[0] >> 16 & 0xffff),
             (unsigned)(parts[0] & 0xfff), (unsigned)(parts[1] >> 48 & 0xfff),
             (unsigned long long)(parts[1] & 0xffffffffffff));
}

static size_t answer(char *to, const struct listener *listener, const char *status, const char *body, size_t length,
                     const char *echo, size_t echo_length) {
    char id[37], framing[64];
    fresh_id(id);
    if (listener->chunked)
        snprintf(framing, sizeof framing, "Transfer-Encoding: chunked");
    else
        snprintf(framing, sizeof framing, "Content-Length: %zu", length);
    int size = snprintf(to, ANSWER,
                        "HTTP/1.1 %s\r\n%s\r\nContent-Type: application/json;odata=minimalmetadata\r\n"
                        "Server: Microsoft-HTTPAPI/2.0\r\nrequest-id: %s\r\n%s%.*s%s"
                        "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n"
                        "X-Content-Type-Options: nosniff\r\nDataServiceVersion: 3.0\r\nDate: %s\r\n\r\n",
                        status, framing, id, echo ? "client-request-id: " : "", (int)echo_length, echo ? echo : "",
                        echo ? "\r\n" : "", date());
    if (listener->chunked)
        size += snprintf(to + size, ANSWER - size, "%zx\r\n%s\r\n0\r\n\r\n", length, body);
    else
        size += snprintf(to + size, ANSWER - size, "%s", body);
    return size < ANSWER ? (size_t)size : 0;
}

static size_t status(char *to) {
    char body[160];
    int length = snprintf(body, sizeof body, "{\"cpu\":%.9f,\"requests\":%llu,\"connections\":%llu}",
                          (double)now(CLOCK_PROCESS_CPUTIME_ID) / 1e9, (unsigned long long)requests,
                          (unsigned long long)connections);
    return (size_t)snprintf(to, ANSWER, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", length, body);
}

/* Connections --------------------------------------------------------------------------------------------------- */

static void drop(struct connection *connection) {
    if (connection->gone)
        return;
    connection->gone = true;
#ifdef WITH_TLS
    if (connection->tls)
        SSL_free(connection->tls);
#endif
    close(connection->file);
    /* An event of this round may still name it. */
    if (connection->waiting == 0)
        connection->next = dead, dead = connection;
}

/* Return how much was sent or read, 0 if nothing can be now, -1 at the end. */
static ssize_t transfer(struct connection *connection, bool sending, char *data, size_t size) {
#ifdef WITH_TLS
    if (connection->tls) {
        ERR_clear_error();
        int done = sending ? SSL_write(connection->tls, data, (int)size) : SSL_read(connection->tls, data, (int)size);
        if (done > 0)
            return done;
        int error = SSL_get_error(connection->tls, done);
        return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
    }
#endif
    ssize_t done = sending ? write(connection->file, data, size) : read(connection->file, data, size);
    if (done > 0)
        return done;
    return done < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static void flush(struct connection *connection) {
    while (connection->sent < connection->kept) {
        ssize_t done =
            transfer(connection, true, connection->out + connection->sent, connection->kept - connection->sent);
        if (done < 0) {
            drop(connection);
            return;
        }
        if (done == 0)
            break;
        connection->sent += (size_t)done;
    }
    bool writing = connection->sent < connection->kept;
    if (!writing)
        connection->sent = connection->kept = 0;
    if (!writing && connection->last && connection->waiting == 0) {
        drop(connection);
        return;
    }
    if (writing != connection->writing) {
        struct epoll_event event = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = connection};
        epoll_ctl(events, EPOLL_CTL_MOD, connection->file, &event);
        connection->writing = writing;
    }
}

/* Keep an answer until it is flushed; whoever asks on and on and doesn't read is cut off. */
static void keep(struct connection *connection, const char *text, size_t size) {
    if (size == 0 || connection->kept + size > ROOM) {
        drop(connection);
        return;
    }
    memcpy(connection->out + connection->kept, text, size);
    connection->kept += size;
}

static void arm(void) {
    int64_t due = 0;
    for (int index = 0; index < listening; index++)
        if (listeners[index].first && (due == 0 || listeners[index].first->due < due))
            due = listeners[index].first->due;
    if (due == armed)
        return;
    struct itimerspec time = {.it_value = {due / 1000000000, due % 1000000000}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &time, NULL);
    armed = due;
}

static void answer_later(struct connection *connection, const char *text, size_t size) {
    struct listener *listener = connection->listener;
    struct later *later = spare;
    if (later)
        spare = later->next;
    else if (!(later = malloc(sizeof *later)))
        fail("memory");
    *later = (struct later){.connection = connection, .due = now(CLOCK_MONOTONIC) + listener->latency, .size = size};
    memcpy(later->answer, text, size);
    connection->waiting++;
    if (listener->first)
        listener->last->next = later;
    else
        listener->first = later;
    listener->last = later;
}

static void answer_due(void) {
    int64_t time = now(CLOCK_MONOTONIC);
    for (int index = 0; index < listening; index++) {
        struct listener *listener = &listeners[index];
        while (listener->first && listener->first->due <= time) {
            struct later *later = listener->first;
            struct connection *connection = later->connection;
            listener->first = later->next;
            connection->waiting--;
            if (!connection->gone) {
                keep(connection, later->answer, later->size);
                if (!connection->gone)
                    flush(connection);
            } else if (connection->waiting == 0)
                connection->next = dead, dead = connection;
            later->next = spare, spare = later;
        }
    }
    armed = 0;
}

/* Requests ------------------------------------------------------------------------------------------------------ */

/* Return the value of a header if the line is that header's. */
static const char *value(const char *line, size_t length, const char *name, size_t *size) {
    size_t named = strlen(name);
    if (length <= named || line[named] != ':' || strncasecmp(line, name, named) != 0)
        return NULL;
    const char *from = line + named + 1, *end = line + length;
    while (from < end && *from == ' ')
        from++;
    *size = (size_t)(end - from);
    return from;
}

static bool says(const char *text, size_t size, const char *word) {
    return text && size == strlen(word) && strncasecmp(text, word, size) == 0;
}

static bool is_counts(const char *target, size_t size) {
    const char *query = memchr(target, '?', size);
    size_t path = query ? (size_t)(query - target) : size;
    static const char begin[] = "/jobs/", end[] = "/taskcounts", missing[] = "/jobs/none/";
    return path > strlen(begin) + strlen(end) && memcmp(target, begin, strlen(begin)) == 0 &&
           memcmp(target + path - strlen(end), end, strlen(end)) == 0 &&
           memcmp(target, missing, strlen(missing)) != 0;
}

static void respond(struct connection *connection, const char *head, size_t size) {
    const char *line_end = memchr(head, '\r', size), *target = memchr(head, ' ', size);
    const char *target_end = target ? memchr(target + 1, ' ', (size_t)(line_end - target)) : NULL;
    const char *echo = NULL, *found;
    size_t echo_length = 0, length, target_length;
    bool returned = false, authorized = false, body = false;
    if (!target_end || target_end > line_end) {
        drop(connection);
        return;
    }
    target++;
    target_length = (size_t)(target_end - target);
    for (const char *line = line_end + 2; line < head + size;) {
        const char *end = memchr(line, '\r', (size_t)(head + size - line));
        size_t whole = end ? (size_t)(end - line) : (size_t)(head + size - line);
        if ((found = value(line, whole, "client-request-id", &length)))
            echo = found, echo_length = length;
        else if ((found = value(line, whole, "return-client-request-id", &length)))
            returned = says(found, length, "true");
        else if ((found = value(line, whole, "authorization", &length)))
            authorized = length > 10 && memcmp(found, "SharedKey ", 10) == 0;
        else if ((found = value(line, whole, "content-length", &length)))
            body = !says(found, length, "0");
        else if ((found = value(line, whole, "connection", &length)))
            connection->last = says(found, length, "close");
        line += whole + 2;
    }
    if (body || echo_length > 100) {
        drop(connection);
        return;
    }
    char text[ANSWER];
    if (target_length == 9 && memcmp(target, "/-/status", 9) == 0) {
        keep(connection, text, status(text));
        return;
    }
    requests++;
    if (!returned)
        echo = NULL;
    bool known = memcmp(head, "GET ", 4) == 0 && is_counts(target, target_length);
    const char *shown = !authorized ? FORBIDDEN : known ? BODY : NOT_FOUND;
    length = answer(text, connection->listener, !authorized ? "403 Forbidden" : known ? "200 OK" : "404 Not Found", shown,
                    strlen(shown), echo, echo ? echo_length : 0);
    if (connection->listener->latency)
        answer_later(connection, text, length);
    else
        keep(connection, text, length);
}

static void serve(struct connection *connection) {
    for (;;) {
        ssize_t done =
            transfer(connection, false, connection->in + connection->read, ROOM - connection->read);
        if (done < 0) {
            drop(connection);
            return;
        }
        if (done == 0)
            break;
        connection->read += (size_t)done;
        char *from = connection->in, *end = connection->in + connection->read, *blank;
        while (!connection->gone && (blank = memmem(from, (size_t)(end - from), "\r\n\r\n", 4))) {
            respond(connection, from, (size_t)(blank - from) + 2);
            from = blank + 4;
        }
        if (connection->gone)
            return;
        connection->read = (size_t)(end - from);
        if (connection->read == ROOM) {
            drop(connection);
            return;
        }
        memmove(connection->in, from, connection->read);
        /* There is more only where the room was full, or in a TLS record that has been read. */
        if (!connection->tls)
            break;
    }
    flush(connection);
}

static void welcome(struct listener *listener) {
    int file, yes = 1;
    while ((file = accept4(listener->file, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *connection = calloc(1, sizeof *connection);
        if (!connection)
            fail("memory");
        *connection = (struct connection){.kind = CONNECTION, .file = file, .listener = listener};
        setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
#ifdef WITH_TLS
        if (listener->tls) {
            connection->tls = SSL_new(context);
            if (!connection->tls || SSL_set_fd(connection->tls, file) != 1)
                fail("TLS");
            SSL_set_accept_state(connection->tls);
        }
#endif
        connections++;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        if (epoll_ctl(events, EPOLL_CTL_ADD, file, &event) != 0)
            fail("epoll");
    }
}

/* Start --------------------------------------------------------------------------------------------------------- */

static void open_tls(const char *certificate, const char *key) {
#ifdef WITH_TLS
    context = SSL_CTX_new(TLS_server_method());
    if (!context || SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
        fprintf(stderr, "responder: %s and %s: no certificate and key\n", certificate, key);
        exit(1);
    }
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
#else
    (void)certificate, (void)key;
    fprintf(stderr, "responder: built without TLS\n");
    exit(1);
#endif
}

static void listen_for(const char *group) {
    char scheme[8], body[8];
    double latency;
    if (listening == LISTENERS || sscanf(group, "%7[a-z],%7[a-z],%lf", scheme, body, &latency) != 3) {
        fprintf(stderr, "responder: %s: SCHEME,BODY,LATENCY is wanted\n", group);
        exit(1);
    }
    struct listener *listener = &listeners[listening++];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    *listener = (struct listener){.kind = LISTENER,
                                  .file = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
                                  .tls = strcmp(scheme, "https") == 0,
                                  .chunked = strcmp(body, "chunked") == 0,
                                  .latency = (int64_t)(latency * 1e6)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = listener};
    if (listener->file < 0 || bind(listener->file, (struct sockaddr *)&address, size) != 0 ||
        listen(listener->file, 1024) != 0 || getsockname(listener->file, (struct sockaddr *)&address, &size) != 0 ||
        epoll_ctl(events, EPOLL_CTL_ADD, listener->file, &event) != 0)
        fail("listening");
    printf("%d\n", ntohs(address.sin_port));
}

static void handle(struct epoll_event *event) {
    char waste[256];
    switch (*(enum kind *)event->data.ptr) {
    case LISTENER:
        welcome(event->data.ptr);
        break;
    case CONNECTION: {
        struct connection *connection = event->data.ptr;
        if (!connection->gone && event->events & EPOLLOUT)
            flush(connection);
        if (!connection->gone && event->events & ~EPOLLOUT)
            serve(connection);
        break;
    }
    case TIMER:
        if (read(timer, waste, sizeof waste) > 0)
            answer_due();
        break;
    case INPUT:
        if (read(0, waste, sizeof waste) <= 0)
            exit(0);
    }
}

int main(int count, char **words) {
    struct epoll_event happened[256], ends = {.events = EPOLLIN, .data.ptr = &input_source},
                                      ticks = {.events = EPOLLIN, .data.ptr = &timer_source};
    int word = 1;
    signal(SIGPIPE, SIG_IGN);
    events = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (events < 0 || timer < 0 || epoll_ctl(events, EPOLL_CTL_ADD, timer, &ticks) != 0)
        fail("epoll");
    if (count > 3 && strcmp(words[1], "--tls") == 0) {
        open_tls(words[2], words[3]);
        word = 4;
    }
    for (; word < count; word++)
        listen_for(words[word]);
    fflush(stdout);
    if (epoll_ctl(events, EPOLL_CTL_ADD, 0, &ends) != 0)
        fail("standard input must be a pipe or a terminal");
    for (;;) {
        int found = epoll_wait(events, happened, 256, -1);
        if (found < 0 && errno != EINTR)
            fail("epoll");
        for (int index = 0; index < found; index++)
            handle(&happened[index]);
        arm();
        while (dead) {
            struct connection *connection = dead;
            dead = connection->next;
            free(connection);
        }
    }
}
