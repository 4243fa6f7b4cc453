/* message.h - the texts of messages, as the Bot API takes them with parse_mode HTML.
 *
 * Values from tables and the operator's template are both escaped, so that no title or template makes a
 * message that Telegram refuses. Such a refusal would be seen only when there is something to report. Every
 * text is valid UTF-8, one line (a transition's may have two, a digest's a few), not blank, and at most
 * LIMIT_MESSAGE_UNITS long once its HTML is read; a longer one is cut at a character, never within an entity,
 * and ends in "…". Pure, thread-safe.
 */
#ifndef RECONCILED_MESSAGE_H
#define RECONCILED_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

struct settings;
struct store_task;

struct message_facts {
    const struct store_task *task; /* as it was: {stage} is the one that it left */
    const char *to_stage, *outcome, *reason;
    int64_t pull_request; /* 0: not known */
};

/* message_of_transition: the settings' template filled in. The default one is followed by a line with both
 * stages, the task's page in Plane, and that of its pull request, or else its branch, in Gitea. A task
 * without a work item id is called "#<task id>"; other missing values are empty. Caller frees. */
char *message_of_transition(const struct settings *settings, const struct message_facts *facts);

/* message_of_quarantine: that the task is left to a person. Caller frees. */
char *message_of_quarantine(const struct store_task *task, int64_t window_s);

/* message_of_failed_replay: that the orchestrator does not move the task although the event was sent
 * repeatedly. Caller frees. */
char *message_of_failed_replay(const struct store_task *task);

/* message_of_webhook: what is wrong with the webhook of a repo. message_of_silence: that events of a source
 * ("plane", "gitea") were lost for `tasks` tasks. Caller frees. */
char *message_of_webhook(const char *repo, const char *detail);
char *message_of_silence(const char *source, size_t tasks);

/* message_digest: one message in place of n that wait: how many there are, those of transitions apart, and
 * the first few in their order. Caller frees. */
char *message_digest(const char *const *texts, size_t n);

/* message_placeholder: in place of n messages whose texts `receiver` ("Telegram") would not take. Caller
 * frees. */
char *message_placeholder(size_t n, const char *receiver);

/* message_plain: a message that was made here, as plain text. Caller frees. */
char *message_plain(const char *html);

#endif
