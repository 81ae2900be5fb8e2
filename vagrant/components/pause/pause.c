/* The first process of every pod: holds the namespaces, reaps orphans, leaves when told to. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void leave(int signal) {
  (void)signal;
  _exit(0);
}

static void reap(int signal) {
  (void)signal;
  while (waitpid(-1, NULL, WNOHANG) > 0) {
  }
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "-v") == 0) {
    printf("pause.c %s\n", VERSION);
    return 0;
  }
  if (getpid() != 1) fprintf(stderr, "pause: not process 1; orphans go elsewhere\n");
  struct sigaction on_leave = {.sa_handler = leave};
  struct sigaction on_child = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};
  if (sigaction(SIGINT, &on_leave, NULL) < 0) return 1;
  if (sigaction(SIGTERM, &on_leave, NULL) < 0) return 2;
  if (sigaction(SIGCHLD, &on_child, NULL) < 0) return 3;
  for (;;) pause();
}
