/* delivery.h - what became of a message that was sent to Telegram or to a webhook. */
#ifndef RECONCILED_DELIVERY_H
#define RECONCILED_DELIVERY_H

#include <stdint.h>

enum delivery_result {
    DELIVERY_SENT,     /* it was taken */
    DELIVERY_WAIT,     /* not now: after wait_s seconds */
    DELIVERY_FAILED,   /* no answer, or an unclear one: a later try may succeed */
    DELIVERY_REFUSED,  /* every message is refused until a person corrects a setting, or what receives it */
    DELIVERY_BAD_TEXT, /* only this text is refused */
    DELIVERY_MOVED,    /* the group has become a supergroup, `chat` */
    DELIVERY_STOPPED,  /* the process is stopping: it is not known whether the message was taken */
};

struct delivery {
    enum delivery_result result;
    int64_t wait_s;
    char chat[24];   /* what the chat has become; "" when it has not moved */
    char error[160]; /* why, for a person; "" when sent */
};

#endif
