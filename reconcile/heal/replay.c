#include "reconcile/heal/replay.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/limits.h"
#include "clients/base/log.h"
#include "clients/facts/facts.h"
#include "clients/http/fetch.h"
#include "clients/orchestrator.h"
#include "clients/store/store.h"
#include "reconcile/heal/ledger_entry.h"
#include "reconcile/message/message.h"
#include "reconcile/pipeline/pipeline.h"
#include "reconcile/heal/replay_event.h"
#include "reconcile/settings/settings.h"

/* One transition on its way. */
struct attempt {
    struct transition *transition;
    struct replay_event event;
    struct ledger_entry entry;
    char *message;                 /* sent when it is given up */
    struct store_replay_seen seen; /* as last read from the database */
    bool decided;                  /* its outcome is known */
    bool sent, taken;              /* taken: so the orchestrator answered */
    char error[ORCHESTRATOR_WORDS_SIZE];
};

struct replay_batch {
    struct pass *pass;
    struct attempt *attempts;
    size_t n;
    struct facts *facts; /* of the documents that the events are made of */
};

static void decide(struct replay_batch *batch, struct attempt *attempt, enum outcome outcome,
                   char *words_take)
{
    attempt->decided = true;
    attempt->transition->outcome = outcome;
    attempt->transition->outcome_reason = words_take ? pass_keep(batch->pass, words_take) : NULL;
}

static void decide_held(struct replay_batch *batch, struct attempt *attempt, enum held_by by,
                        char *words_take)
{
    pass_held(batch->pass, by, 1);
    decide(batch, attempt, OUTCOME_HELD, words_take);
}

static const char *plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

/* what the database holds */

static struct store_replay row_of(struct replay_batch *batch, struct attempt *attempt)
{
    AUTO_FREE char *name = mem_printf("%s/given up", attempt->event.delivery.s);
    return (struct store_replay){.subject = attempt->event.subject,
                                 .delivery = attempt->event.delivery,
                                 .row = &attempt->entry.row,
                                 .message_id = uuid_from_name(name),
                                 .message = pass_writes_messages(batch->pass) ? attempt->message : NULL};
}

static void give_up_now(struct replay_batch *batch, struct attempt *attempt)
{
    const struct store_task *task = attempt->transition->task;
    batch->pass->messages += pass_writes_messages(batch->pass);
    log_error("a replay is given up: the orchestrator does not move its task", LOG_I("task_id", task->id),
              LOG_S("work_item_id", task->work_item_id), LOG_S("stage", task->stage),
              LOG_S("event", orchestrator_event_name(attempt->event.kind)),
              LOG_S("delivery", attempt->event.delivery.s), LOG_I("tries", attempt->seen.tries));
}

/* Decides whatever is not to be sent. */
static void fate_apply(struct replay_batch *batch, struct attempt *attempt)
{
    const struct store_replay_seen *seen = &attempt->seen;
    switch (seen->state) {
    case STORE_REPLAY_DUE:
    case STORE_REPLAY_LAST:
        break;
    case STORE_REPLAY_WAITS:
        decide(batch, attempt, OUTCOME_FAILED,
               mem_printf("replayed %" PRId64 " time%s, and the task has not moved; the next try follows in "
                          "%" PRId64 " s",
                          seen->tries, plural(seen->tries), seen->next_s));
        break;
    case STORE_REPLAY_GIVEN_UP:
    case STORE_REPLAY_GIVEN_UP_NOW:
        if (seen->state == STORE_REPLAY_GIVEN_UP_NOW)
            give_up_now(batch, attempt);
        decide(batch, attempt, OUTCOME_FAILED,
               mem_printf("replayed %" PRId64 " time%s, and the task has not moved: left to a person",
                          seen->tries, plural(seen->tries)));
        break;
    case STORE_REPLAY_HELD:
        decide_held(batch, attempt, HELD_BY_HOLD, mem_dup(attempt->transition->refusal.text));
        break;
    case STORE_REPLAY_RACED:
        decide(batch, attempt, OUTCOME_RACED,
               mem_dup("another process moved it, or queued a job for it, first"));
        break;
    }
}

/* The undecided ones as rows, and which they are. */
static size_t undecided(struct replay_batch *batch, struct store_replay *ret_rows, struct attempt **ret_open)
{
    size_t n = 0;
    for (size_t i = 0; i < batch->n; i++)
        if (!batch->attempts[i].decided) {
            ret_open[n] = &batch->attempts[i];
            ret_rows[n++] = row_of(batch, &batch->attempts[i]);
        }
    return n;
}

static enum err look(struct replay_batch *batch, struct why *why)
{
    struct store_replay rows[LIMIT_BATCH];
    struct attempt *open[LIMIT_BATCH];
    struct store_replay_seen seen[LIMIT_BATCH];
    size_t n = undecided(batch, rows, open);
    enum err err = store_replays_look(batch->pass->services->store, rows, n, seen, why);
    for (size_t i = 0; !err && i < n; i++) {
        open[i]->seen = seen[i];
        fate_apply(batch, open[i]);
    }
    return err;
}

static enum err begin_once(struct pass *pass, void *arg, struct why *why)
{
    struct replay_batch *batch = arg;
    struct store_replay rows[LIMIT_BATCH];
    struct attempt *open[LIMIT_BATCH];
    struct store_replay_seen seen[LIMIT_BATCH];
    size_t n = undecided(batch, rows, open);
    enum err err = store_replay_begin(pass->services->store, pass->policy->revision,
                                      pass->policy->valid_until_us, rows, n, seen, why);
    for (size_t i = 0; !err && i < n; i++) {
        open[i]->seen = seen[i];
        fate_apply(batch, open[i]);
    }
    return err;
}

/* Invariant: a replay starts here, under the settings row's lock, as a transition does in the other mode.
 * After this returns, replays that are DUE are sent without checking the switches again: setting a switch off
 * waits for this transaction, so these replays count as started before it. */
static enum err begin(struct replay_batch *batch, enum pass_side side, struct why *why)
{
    const char *hold = NULL;
    enum err err = pass_write(batch->pass, side, begin_once, batch, &hold, why);
    for (size_t i = 0; hold && i < batch->n; i++)
        if (!batch->attempts[i].decided)
            decide_held(batch, &batch->attempts[i], pass_held_by(batch->pass, side), mem_dup(hold));
    return err;
}

/* what is sent */

static bool wants_body(const struct attempt *attempt)
{
    return !attempt->decided && attempt->seen.state == STORE_REPLAY_DUE;
}

static void look_at(void *arg, void *waiter)
{
    struct replay_batch *batch = arg;
    struct attempt *attempt = waiter;
    facts_subscribe(batch->facts, attempt);
    (void)replay_event_look(&attempt->event, batch->facts, batch->pass->services->gitea);
}

/* All of Gitea's documents are requested at once; calls to Plane go one after the other. */
static void make_bodies(struct replay_batch *batch)
{
    struct pass *pass = batch->pass;
    struct facts *facts = batch->facts = facts_new(pass->services->fetch, pass->deadline_ms);
    facts_asked_by(facts, &pass->asker);
    facts_gather(facts);
    for (size_t i = 0; i < batch->n; i++)
        if (wants_body(&batch->attempts[i]) && batch->attempts[i].event.kind != EVENT_ISSUE)
            look_at(batch, &batch->attempts[i]);
    facts_run(facts, &(struct facts_loop){.on_ready = look_at, .arg = batch});
    for (size_t i = 0; i < batch->n && !pass_stopping(pass); i++)
        if (wants_body(&batch->attempts[i]) && batch->attempts[i].event.kind == EVENT_ISSUE)
            replay_event_ask(&batch->attempts[i].event);
    facts_free(facts);
    for (size_t i = 0; i < batch->n; i++) {
        struct attempt *attempt = &batch->attempts[i];
        const char *problem = attempt->event.problem;
        enum outcome outcome = attempt->event.refused             ? OUTCOME_UNKNOWN
                               : problem && !attempt->event.later ? OUTCOME_FAILED
                                                                  : OUTCOME_HELD;
        if (!wants_body(attempt) || attempt->event.body)
            continue;
        pass_held(pass, HELD_BY_REPLAY, outcome == OUTCOME_HELD);
        decide(batch, attempt, outcome,
               mem_printf("not replayed: %s", problem ? problem : "the process ends"));
    }
}

static void take_answer(struct attempt *attempt, const struct fetch_answer *answer)
{
    attempt->taken = orchestrator_answer_read(answer, attempt->error);
    log_event(attempt->taken ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, "replayed",
              LOG_I("task_id", attempt->transition->task->id),
              LOG_S("work_item_id", attempt->transition->task->work_item_id),
              LOG_S("event", orchestrator_event_name(attempt->event.kind)),
              LOG_S("delivery", attempt->event.delivery.s), LOG_I("tries", attempt->seen.tries),
              LOG_S("answer", attempt->error));
}

/* It is not known whether requests without an answer were carried out when the process ends; a later pass
 * finds out. */
static void send_all(struct replay_batch *batch)
{
    struct pass *pass = batch->pass;
    struct fetch_inbox *inbox = fetch_inbox_new(pass->services->fetch);
    fetch_gather(inbox);
    for (size_t i = 0; i < batch->n; i++) {
        struct attempt *attempt = &batch->attempts[i];
        if (attempt->decided)
            continue;
        const struct fetch_request asker = {.part = attempt->transition->task->repo,
                                            .pass = pass->asker.pass,
                                            .forced = pass->asker.forced,
                                            .waited_for = pass->asker.waited_for,
                                            .deadline_ms = pass->deadline_ms,
                                            .tag = attempt};
        const struct orchestrator_post post = {.event = attempt->event.kind,
                                               .delivery = &attempt->event.delivery,
                                               .release = &attempt->event.release,
                                               .body = attempt->event.body};
        orchestrator_send(pass->services->orchestrator, inbox, &post, &asker);
        attempt->sent = true;
    }
    while (fetch_pending(inbox) > 0) {
        struct fetch_answer *answer = fetch_take(inbox, -1);
        take_answer(answer->tag, answer);
        fetch_answer_free(answer);
    }
    fetch_inbox_free(inbox);
}

/* what has moved */

/* A replay of a newer version may name an outcome that this one does not know. */
static enum outcome moved_as(const char *name)
{
    enum outcome outcome = outcome_parse(name);
    return outcome < OUTCOME_MAX_ ? outcome : OUTCOME_ADVANCED;
}

static struct attempt *going_of(struct replay_batch *batch, const char *subject)
{
    for (size_t i = 0; batch && i < batch->n; i++)
        if (strcmp(batch->attempts[i].event.subject, subject) == 0)
            return &batch->attempts[i];
    return NULL;
}

static void report_moved(struct pass *pass, const struct store_transition *row)
{
    const struct report_item item = {.task_id = row->task->id,
                                     .work_item_id = row->task->work_item_id,
                                     .stage = row->task->stage,
                                     .to_stage = row->to_stage,
                                     .verdict = "green",
                                     .reason = row->reason,
                                     .outcome = moved_as(row->outcome)};
    bool is_plane = strcmp(row->side, pass_side_name(SIDE_PLANE)) == 0;
    pass_item(pass, is_plane ? SIDE_PLANE : SIDE_GATE, &item);
}

/* It is in the ledger. A transition that this pass replayed gets its outcome; others get an item of their
 * own. */
static void note_moved(struct pass *pass, struct replay_batch *batch,
                       const struct store_settlement *settlement)
{
    const struct store_replay_moved *replay = settlement->replay;
    struct attempt *attempt = going_of(batch, replay->subject);
    ledger_entry_written(pass, settlement->row, replay->rested_s);
    if (attempt)
        decide(batch, attempt, moved_as(replay->outcome), NULL);
    else
        report_moved(pass, settlement->row);
}

/* The ledger row's id is made from this replay, so that the row cannot be written twice. */
static struct store_transition ledger_row(const struct pass *pass, const struct store_replay_moved *replay,
                                          char **ret_message)
{
    AUTO_FREE char *name = mem_printf("%s/%" PRId64, replay->delivery.s, replay->first_us);
    const struct stage *to = pipeline_stage(pass->services->pipeline, replay->to_stage);
    const struct message_facts facts = {.task = &replay->task,
                                        .to_stage = replay->to_stage,
                                        .outcome = replay->outcome,
                                        .reason = replay->reason};
    *ret_message =
        pass_writes_messages(pass) ? message_of_transition(pass->services->settings, &facts) : NULL;
    return (struct store_transition){.id = uuid_from_name(name),
                                     .task = &replay->task,
                                     .to_stage = replay->to_stage,
                                     .agent = to ? to->agent : NULL,
                                     .side = replay->side,
                                     .outcome = replay->outcome,
                                     .reason = replay->reason,
                                     .evidence = replay->evidence,
                                     .verdict_id = replay->verdict_id,
                                     .missed_source = replay->missed_source,
                                     .missed_event = replay->missed_event,
                                     .rested_s = replay->rested_s,
                                     .message = *ret_message};
}

static enum err settle_batch(struct pass *pass, struct replay_batch *batch,
                             const struct store_replays_moved *moved, struct why *why)
{
    struct store_settlement settlements[LIMIT_BATCH];
    struct store_transition rows[LIMIT_BATCH];
    char *messages[LIMIT_BATCH] = {NULL};
    bool mine[LIMIT_BATCH];
    for (size_t i = 0; i < moved->n; i++) {
        bool heal = !moved->rows[i].given_up && !moved->rows[i].gone;
        settlements[i] = (struct store_settlement){.replay = &moved->rows[i]};
        if (!heal)
            continue;
        rows[i] = ledger_row(pass, &moved->rows[i], &messages[i]);
        settlements[i].row = &rows[i];
    }
    enum err err =
        store_replays_settle(pass->services->store, pass->report.id.s, settlements, moved->n, mine, why);
    for (size_t i = 0; !err && i < moved->n; i++)
        if (mine[i] && settlements[i].row)
            note_moved(pass, batch, &settlements[i]);
    for (size_t i = 0; i < moved->n; i++)
        free(messages[i]);
    return err;
}

/* Whatever has moved, a batch at a time. */
static enum err settle(struct pass *pass, struct replay_batch *batch, struct why *why)
{
    for (;;) {
        struct store_replays_moved moved = {0};
        enum err err = store_replays_moved(pass->services->store, LIMIT_BATCH, &moved, why);
        if (!err && moved.n > 0)
            err = settle_batch(pass, batch, &moved, why);
        bool more = moved.n == LIMIT_BATCH;
        store_replays_moved_done(&moved);
        if (err || !more)
            return err;
    }
}

enum err replay_settle(struct pass *pass, struct why *why)
{
    if (pass->request->dry_run || pass_hold_reason(pass, SIDE_GATE))
        return ERR_OK;
    return settle(pass, NULL, why);
}

/* the whole of it */

/* What was sent, and has not been seen to move. */
static void decide_rest(struct replay_batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        struct attempt *attempt = &batch->attempts[i];
        if (attempt->decided)
            continue;
        const char *event = orchestrator_event_name(attempt->event.kind);
        if (attempt->taken) {
            decide_held(batch, attempt, HELD_BY_REPLAY,
                        mem_printf("replayed (%s): %s; not seen to move yet", event, attempt->error));
            continue;
        }
        decide(batch, attempt, OUTCOME_FAILED,
               mem_printf("replayed (%s): the orchestrator: %s; the next try follows in %" PRId64 " s", event,
                          attempt->error, attempt->seen.next_s));
    }
}

static enum err carry_out(struct replay_batch *batch, enum pass_side side, struct why *why)
{
    struct pass *pass = batch->pass;
    enum err err = look(batch, why);
    if (err)
        return err;
    make_bodies(batch);
    if ((err = begin(batch, side, why)))
        return err;
    send_all(batch);
    if ((err = settle(pass, batch, why)))
        return err;
    decide_rest(batch);
    return ERR_OK;
}

enum err replay_apply(struct pass *pass, struct transition *transitions, size_t n, struct why *why)
{
    assert(n <= LIMIT_BATCH);
    struct replay_batch batch = {.pass = pass, .attempts = mem_zero(n, sizeof *batch.attempts), .n = n};
    for (size_t i = 0; i < n; i++) {
        struct attempt *attempt = &batch.attempts[i];
        attempt->transition = &transitions[i];
        replay_event_name(&transitions[i], &attempt->event);
        ledger_entry_make(pass, &transitions[i], &attempt->entry);
        attempt->entry.row.refusal = &transitions[i].refusal;
        attempt->message = message_of_failed_replay(transitions[i].task);
    }
    enum err err = carry_out(&batch, transitions[0].side, why);
    for (size_t i = 0; i < n; i++) {
        struct attempt *attempt = &batch.attempts[i];
        if (err && !attempt->decided)
            decide(&batch, attempt, OUTCOME_FAILED, mem_dup("the database could not be asked or written"));
        attempt->transition->counts = attempt->sent;
        replay_event_done(&attempt->event);
        ledger_entry_done(&attempt->entry);
        free(attempt->message);
    }
    free(batch.attempts);
    return err;
}
