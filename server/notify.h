/* notify.h - reports the state of the service to systemd (sd_notify(3)), without its library. Does nothing if
 * NOTIFY_SOCKET is not set. */
#ifndef RECONCILED_NOTIFY_H
#define RECONCILED_NOTIFY_H

/* notify_send: "READY=1", "STOPPING=1", "WATCHDOG=1". */
void notify_send(const char *state);

#endif
