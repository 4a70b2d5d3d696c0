/* `echo` and `latency` by a plain loop around epoll, level-triggered, on one thread: the least that a server does.
   Called as the programs in Rust are, and prints their line. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { ROOM = 1024, EVENTS = 256 };

static int epoll;

static void must(int succeeded, const char *what) {
    if (!succeeded) {
        perror(what);
        exit(1);
    }
}

static void watch(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    must(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

static void take_on(int listener) {
    int connection = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (connection < 0)
        return;
    int yes = 1;
    must(setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == 0, "setsockopt");
    watch(connection);
}

static void answer(int connection) {
    static char buffer[ROOM];
    ssize_t count = read(connection, buffer, sizeof buffer);
    if (count <= 0 || write(connection, buffer, (size_t)count) != count)
        close(connection);
}

static void *serve(void *argument) {
    int listener = *(int *)argument;
    struct epoll_event events[EVENTS];
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                take_on(listener);
            else
                answer(events[i].data.fd);
        }
    }
    return NULL;
}

static const char *number(int argc, char **argv, const char *name) {
    size_t length = strlen(name);
    for (int i = 3; i < argc; i++)
        if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=')
            return argv[i] + length + 1;
    fprintf(stderr, "it needs %s=NUMBER\n", name);
    exit(1);
}

int main(int argc, char **argv) {
    if (argc < 3 || (strcmp(argv[2], "echo") != 0 && strcmp(argv[2], "latency") != 0)) {
        puts("none");
        return 0;
    }
    if (strcmp(number(argc, argv, "workers"), "1") != 0) {
        puts("none it is one thread");
        return 0;
    }
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    must(bind(listener, (struct sockaddr *)&address, length) == 0, "bind");
    must(listen(listener, 4096) == 0, "listen");
    must(getsockname(listener, (struct sockaddr *)&address, &length) == 0, "getsockname");
    epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(listener);
    pthread_t server;
    must(pthread_create(&server, NULL, serve, &listener) == 0, "pthread_create");

    char command[4096];
    const char *program = getenv("LISLE_LOAD");
    must(program != NULL, "LISLE_LOAD");
    snprintf(command, sizeof command, "'%s' %s %d %s %s", program, argv[2], ntohs(address.sin_port),
             number(argc, argv, "connections"), number(argc, argv, "requests"));
    FILE *clients = popen(command, "r");
    char line[256];
    must(clients != NULL && fgets(line, sizeof line, clients) != NULL, "the clients have failed");
    fputs(line, stdout);
    return 0;
}
