#include "reconcile/heal/replay.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/jsonx.h"
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
struct going {
    struct transition *transition;
    struct replay_event event;
    struct ledger_entry entry;
    char *message;                 /* sent when it is given up */
    struct store_replay_seen seen; /* as last read from the database */
    bool decided;                  /* its outcome is known */
    bool sent, taken;              /* taken: so the orchestrator answered */
    char error[ORCHESTRATOR_WORDS_SIZE];
};

struct replaying {
    struct pass *pass;
    struct going *going;
    size_t n;
    struct facts *facts; /* of the documents that the events are made of */
};

static void decide(struct replaying *replaying, struct going *going, enum outcome outcome, char *words_take)
{
    going->decided = true;
    going->transition->outcome = outcome;
    going->transition->outcome_reason = words_take ? pass_keep(replaying->pass, words_take) : NULL;
}

static const char *plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

/* what the database holds */

static struct store_replay row_of(struct replaying *replaying, struct going *going)
{
    AUTO_FREE char *name = mem_printf("%s/given up", going->event.delivery.s);
    return (struct store_replay){.subject = going->event.subject,
                                 .delivery = going->event.delivery,
                                 .row = &going->entry.row,
                                 .told = uuid_from_name(name),
                                 .message = pass_tells(replaying->pass) ? going->message : NULL};
}

static void give_up_now(struct replaying *replaying, struct going *going)
{
    const struct store_task *task = going->transition->task;
    replaying->pass->messages += pass_tells(replaying->pass);
    log_error("a replay is given up: the orchestrator does not move its task", LOG_I("task_id", task->id),
              LOG_S("work_item_id", task->work_item_id), LOG_S("stage", task->stage),
              LOG_S("event", orchestrator_event_name(going->event.kind)),
              LOG_S("delivery", going->event.delivery.s), LOG_I("tries", going->seen.tries));
}

/* Decides whatever is not to be sent. */
static void heed(struct replaying *replaying, struct going *going)
{
    const struct store_replay_seen *seen = &going->seen;
    switch (seen->state) {
    case STORE_REPLAY_DUE:
    case STORE_REPLAY_LAST:
        break;
    case STORE_REPLAY_WAITS:
        decide(replaying, going, OUTCOME_FAILED,
               mem_printf("replayed %" PRId64 " time%s, and the task has not moved; the next try follows in "
                          "%" PRId64 " s",
                          seen->tries, plural(seen->tries), seen->next_s));
        break;
    case STORE_REPLAY_GIVEN_UP:
    case STORE_REPLAY_GIVEN_UP_NOW:
        if (seen->state == STORE_REPLAY_GIVEN_UP_NOW)
            give_up_now(replaying, going);
        decide(replaying, going, OUTCOME_FAILED,
               mem_printf("replayed %" PRId64 " time%s, and the task has not moved: left to a person",
                          seen->tries, plural(seen->tries)));
        break;
    case STORE_REPLAY_RACED:
        decide(replaying, going, OUTCOME_RACED,
               mem_dup("another process moved it, or queued a job for it, first"));
        break;
    }
}

/* The undecided ones as rows, and which they are. */
static size_t undecided(struct replaying *replaying, struct store_replay *ret_rows, struct going **ret_who)
{
    size_t n = 0;
    for (size_t i = 0; i < replaying->n; i++)
        if (!replaying->going[i].decided) {
            ret_who[n] = &replaying->going[i];
            ret_rows[n++] = row_of(replaying, &replaying->going[i]);
        }
    return n;
}

static enum err look(struct replaying *replaying, struct why *why)
{
    struct store_replay rows[LIMIT_BATCH];
    struct going *who[LIMIT_BATCH];
    struct store_replay_seen seen[LIMIT_BATCH];
    size_t n = undecided(replaying, rows, who);
    enum err err = store_replays_look(replaying->pass->services->store, rows, n, seen, why);
    for (size_t i = 0; !err && i < n; i++) {
        who[i]->seen = seen[i];
        heed(replaying, who[i]);
    }
    return err;
}

static enum err begin_once(struct pass *pass, void *arg, struct why *why)
{
    struct replaying *replaying = arg;
    struct store_replay rows[LIMIT_BATCH];
    struct going *who[LIMIT_BATCH];
    struct store_replay_seen seen[LIMIT_BATCH];
    size_t n = undecided(replaying, rows, who);
    enum err err = store_replay_begin(pass->services->store, pass->policy->revision,
                                      pass->policy->valid_until_us, rows, n, seen, why);
    for (size_t i = 0; !err && i < n; i++) {
        who[i]->seen = seen[i];
        heed(replaying, who[i]);
    }
    return err;
}

/* Invariant: a replay starts here, under the settings row's lock, as a transition does in the other mode.
 * When this has returned, what is DUE is sent without another look at the switches: a person who threw one
 * has waited for this transaction, and what it began counts as begun. */
static enum err begin(struct replaying *replaying, enum pass_side side, struct why *why)
{
    const char *hold = NULL;
    enum err err = pass_write(replaying->pass, side, begin_once, replaying, &hold, why);
    for (size_t i = 0; hold && i < replaying->n; i++)
        if (!replaying->going[i].decided)
            decide(replaying, &replaying->going[i], OUTCOME_HELD, mem_dup(hold));
    return err;
}

/* what is sent */

static bool wants_body(const struct going *going)
{
    return !going->decided && going->seen.state == STORE_REPLAY_DUE;
}

static void look_at(void *arg, void *attempt)
{
    struct replaying *replaying = arg;
    struct going *going = attempt;
    facts_subscribe(replaying->facts, going);
    (void)replay_event_look(&going->event, replaying->facts, replaying->pass->services->gitea);
}

/* All of Gitea's documents at once; Plane is asked one thing after the other anyhow. */
static void make_bodies(struct replaying *replaying)
{
    struct pass *pass = replaying->pass;
    struct facts *facts = replaying->facts = facts_new(pass->services->fetch, pass->deadline_ms);
    facts_asked_by(facts, &pass->asker);
    facts_gather(facts);
    for (size_t i = 0; i < replaying->n; i++)
        if (wants_body(&replaying->going[i]) && replaying->going[i].event.kind != EVENT_ISSUE)
            look_at(replaying, &replaying->going[i]);
    facts_run(facts, &(struct facts_loop){.on_ready = look_at, .arg = replaying});
    for (size_t i = 0; i < replaying->n && !pass_stopping(pass); i++)
        if (wants_body(&replaying->going[i]) && replaying->going[i].event.kind == EVENT_ISSUE)
            replay_event_ask(&replaying->going[i].event);
    facts_free(facts);
    for (size_t i = 0; i < replaying->n; i++) {
        struct going *going = &replaying->going[i];
        const char *problem = going->event.problem;
        enum outcome outcome = going->event.refused             ? OUTCOME_UNKNOWN
                               : problem && !going->event.later ? OUTCOME_FAILED
                                                                : OUTCOME_HELD;
        if (wants_body(going) && !going->event.body)
            decide(replaying, going, outcome,
                   mem_printf("not replayed: %s", problem ? problem : "the process ends"));
    }
}

static void take_answer(struct going *going, const struct fetch_answer *answer)
{
    going->taken = orchestrator_answer_read(answer, going->error);
    log_event(going->taken ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, "replayed",
              LOG_I("task_id", going->transition->task->id),
              LOG_S("work_item_id", going->transition->task->work_item_id),
              LOG_S("event", orchestrator_event_name(going->event.kind)),
              LOG_S("delivery", going->event.delivery.s), LOG_I("tries", going->seen.tries),
              LOG_S("answer", going->error));
}

/* What is not answered when the process ends has been sent, or not: a later pass sees. */
static void send_all(struct replaying *replaying)
{
    struct pass *pass = replaying->pass;
    struct fetch_inbox *inbox = fetch_inbox_new(pass->services->fetch);
    fetch_gather(inbox);
    for (size_t i = 0; i < replaying->n; i++) {
        struct going *going = &replaying->going[i];
        if (going->decided)
            continue;
        const struct fetch_request asker = {.part = going->transition->task->repo,
                                            .pass = pass->asker.pass,
                                            .forced = pass->asker.forced,
                                            .waited_for = pass->asker.waited_for,
                                            .deadline_ms = pass->deadline_ms,
                                            .tag = going};
        const struct orchestrator_post post = {.event = going->event.kind,
                                               .delivery = &going->event.delivery,
                                               .release = &going->event.release,
                                               .body = going->event.body};
        orchestrator_send(pass->services->orchestrator, inbox, &post, &asker);
        going->sent = true;
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

static struct going *going_of(struct replaying *replaying, const char *subject)
{
    for (size_t i = 0; replaying && i < replaying->n; i++)
        if (strcmp(replaying->going[i].event.subject, subject) == 0)
            return &replaying->going[i];
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
    if (strcmp(row->side, pass_side_name(SIDE_PLANE)) == 0)
        report_plane_item(&pass->report, &item);
    else
        report_gate_item(&pass->report, &item);
}

/* It is in the ledger: what this pass itself replayed has its outcome; the rest gets an item of its own. */
static void note_moved(struct pass *pass, struct replaying *replaying,
                       const struct store_settlement *settlement)
{
    const struct store_replay_moved *replay = settlement->replay;
    struct going *going = going_of(replaying, replay->subject);
    ledger_entry_written(pass, settlement->row, replay->rested_s);
    if (going)
        decide(replaying, going, moved_as(replay->outcome), NULL);
    else
        report_moved(pass, settlement->row);
}

/* The ledger row's id names this replay, so that it cannot be written twice. */
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
        pass_tells(pass) ? message_of_transition(pass->services->settings->notify_template, &facts) : NULL;
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
                                     .message = *ret_message};
}

static enum err settle_batch(struct pass *pass, struct replaying *replaying,
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
            note_moved(pass, replaying, &settlements[i]);
    for (size_t i = 0; i < moved->n; i++)
        free(messages[i]);
    return err;
}

/* Whatever has moved, a batch at a time. */
static enum err settle(struct pass *pass, struct replaying *replaying, struct why *why)
{
    for (;;) {
        struct store_replays_moved moved = {0};
        enum err err = store_replays_moved(pass->services->store, LIMIT_BATCH, &moved, why);
        if (!err && moved.n > 0)
            err = settle_batch(pass, replaying, &moved, why);
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
static void decide_rest(struct replaying *replaying)
{
    for (size_t i = 0; i < replaying->n; i++) {
        struct going *going = &replaying->going[i];
        if (going->decided)
            continue;
        const char *event = orchestrator_event_name(going->event.kind);
        if (going->taken) {
            decide(replaying, going, OUTCOME_HELD,
                   mem_printf("replayed (%s): %s; not seen to move yet", event, going->error));
            continue;
        }
        decide(replaying, going, OUTCOME_FAILED,
               mem_printf("replayed (%s): the orchestrator: %s; the next try follows in %" PRId64 " s", event,
                          going->error, going->seen.next_s));
    }
}

static enum err carry_out(struct replaying *replaying, enum pass_side side, struct why *why)
{
    struct pass *pass = replaying->pass;
    enum err err = look(replaying, why);
    if (err)
        return err;
    make_bodies(replaying);
    if ((err = begin(replaying, side, why)))
        return err;
    send_all(replaying);
    if ((err = settle(pass, replaying, why)))
        return err;
    decide_rest(replaying);
    return ERR_OK;
}

enum err replay_apply(struct pass *pass, struct transition *batch, size_t n, struct why *why)
{
    assert(n <= LIMIT_BATCH);
    struct replaying replaying = {.pass = pass, .going = mem_zero(n, sizeof *replaying.going), .n = n};
    for (size_t i = 0; i < n; i++) {
        struct going *going = &replaying.going[i];
        going->transition = &batch[i];
        replay_event_name(&batch[i], &going->event);
        ledger_entry_make(pass, &batch[i], &going->entry);
        going->message = message_of_failed_replay(batch[i].task);
    }
    enum err err = carry_out(&replaying, batch[0].side, why);
    for (size_t i = 0; i < n; i++) {
        struct going *going = &replaying.going[i];
        if (err && !going->decided)
            decide(&replaying, going, OUTCOME_FAILED, mem_dup("the database could not be asked or written"));
        going->transition->counts = going->sent;
        replay_event_done(&going->event);
        ledger_entry_done(&going->entry);
        free(going->message);
    }
    free(replaying.going);
    return err;
}
