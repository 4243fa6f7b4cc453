#include "reconcile/message/message.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/store/store.h"
#include "reconcile/settings/message_template.h"
#include "reconcile/settings/settings.h"
#include "reconcile/settings/settings_table.h"
#include "reconcile/settings/weblink.h"

enum { DIGEST_LINES = 5, DIGEST_LINE_UNITS = 300 };

/* text under construction */

struct html {
    struct buffer out;
    size_t units, units_max; /* as Telegram counts: UTF-16, the HTML read */
    size_t keep;             /* up to here, "…" fits in behind */
    bool cut;
};

/* One character, however it is written. */
static void html_put(struct html *html, const char *bytes, size_t len, size_t units)
{
    if (html->cut)
        return;
    if (html->units + units > html->units_max) {
        html->out.len = html->keep;
        html->cut = true;
        buffer_puts(&html->out, "…");
        return;
    }
    buffer_put(&html->out, bytes, len);
    html->units += units;
    if (html->units < html->units_max)
        html->keep = html->out.len;
}

static size_t char_len(const char *at)
{
    unsigned char first = (unsigned char)*at;
    size_t len = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
    return strnlen(at, len);
}

/* plain[0..len) must be UTF-8. */
static void html_add(struct html *html, const char *plain, size_t len)
{
    for (const char *at = plain; at < plain + len; at += char_len(at)) {
        if (*at == '&')
            html_put(html, "&amp;", 5, 1);
        else if (*at == '<')
            html_put(html, "&lt;", 4, 1);
        else if (*at == '>')
            html_put(html, "&gt;", 4, 1);
        else
            html_put(html, at, char_len(at), char_len(at) == 4 ? 2 : 1);
    }
}

static void html_say(struct html *html, const char *plain)
{
    html_add(html, plain, strlen(plain));
}

/* What the messages that are no transition's begin with. */
#define PERSON_SIGN "🚧 reconciler: "
#define SILENCE_SIGN "🔕 reconciler: "

/* A value from a table or an upstream: it may have any content, and is cut so that it leaves room for the
 * others. */
static void html_value(struct html *html, const char *value)
{
    AUTO_FREE char *cut = text_cut(value ? value : "", LIMIT_MESSAGE_VALUE);
    html_say(html, cut);
}

/* The first line of a message that was made here. */
static void html_line(struct html *html, const char *text)
{
    struct html line = {.out.max = LIMIT_MESSAGE, .units_max = DIGEST_LINE_UNITS};
    buffer_puts(&line.out, "");
    for (const char *at = text, *end = text + strcspn(text, "\n"); at < end;) {
        size_t entity = *at == '&' ? strcspn(at, ";") + 1 : 0;
        bool whole = entity > 0 && entity <= strlen("&amp;") && at + entity <= end;
        size_t len = whole ? entity : char_len(at);
        html_put(&line, at, len, !whole && len == 4 ? 2 : 1);
        at += len;
    }
    buffer_put(&html->out, line.out.text, line.out.len);
    html->units += line.units;
    html->keep = html->out.len;
    free(line.out.text);
}

static void html_name(struct html *html, const struct store_task *task)
{
    char number[24];
    snprintf(number, sizeof number, "#%" PRId64, task->id);
    html_value(html, task->work_item_id && *task->work_item_id ? task->work_item_id : number);
}

/* the template */

struct links {
    char *task, *branch, *pull; /* NULL: not known */
};

static struct links links_make(const struct settings *settings, const struct message_facts *facts)
{
    const struct store_task *task = facts->task;
    return (struct links){
        .task = weblink_task(settings, task->repo, task->work_item_id, task->plane_id),
        .branch = weblink_branch(settings, task->repo, task->branch),
        .pull = weblink_pull(settings, task->repo, facts->pull_request),
    };
}

static void links_done(struct links *links)
{
    free(links->task);
    free(links->branch);
    free(links->pull);
}

/* A link that is cut leads nowhere. */
static const char *link_whole(const char *link)
{
    return link && strlen(link) <= LIMIT_MESSAGE_VALUE ? link : NULL;
}

static void html_fill(struct html *html, enum message_place place, const struct message_facts *facts,
                      const struct links *links)
{
    const struct store_task *task = facts->task;
    char id[24];
    snprintf(id, sizeof id, "%" PRId64, task->id);
    const char *const values[] = {
        [PLACE_WORK_ITEM_ID] = NULL,
        [PLACE_TASK_ID] = id,
        [PLACE_TITLE] = task->title,
        [PLACE_REPO] = task->repo,
        [PLACE_BRANCH] = task->branch,
        [PLACE_STAGE] = task->stage,
        [PLACE_TO_STAGE] = facts->to_stage,
        [PLACE_OUTCOME] = facts->outcome,
        [PLACE_REASON] = facts->reason,
        [PLACE_TASK_URL] = link_whole(links->task),
        [PLACE_BRANCH_URL] = link_whole(links->branch),
        [PLACE_PULL_URL] = link_whole(links->pull),
    };
    static_assert(ARRAY_LEN(values) == PLACE_MAX_, "every placeholder has a value");
    if (place == PLACE_WORK_ITEM_ID)
        html_name(html, task);
    else
        html_value(html, values[place]);
}

static bool is_blank(const struct html *html)
{
    return html->out.text[strspn(html->out.text, " ")] == '\0';
}

static void html_link(struct html *html, const char *link)
{
    if (!link_whole(link))
        return;
    html_say(html, " · ");
    html_say(html, link);
}

/* The default template names neither where the task went nor where to look. */
static void html_details(struct html *html, const struct message_facts *facts, const struct links *links)
{
    html_say(html, "\n");
    html_value(html, facts->task->stage);
    html_say(html, " → ");
    html_value(html, facts->to_stage);
    html_link(html, links->task);
    html_link(html, links->pull ? links->pull : links->branch);
}

char *message_of_transition(const struct settings *settings, const struct message_facts *facts)
{
    const char *template = settings->notify_template;
    bool is_default = strcmp(template, setting_of_name("ORCH_NOTIFY_TEMPLATE")->fallback) == 0;
    struct links links = links_make(settings, facts);
    struct html html = {.out.max = LIMIT_MESSAGE, .units_max = LIMIT_MESSAGE_UNITS};
    buffer_puts(&html.out, "");
    while (*template) {
        size_t len;
        enum message_place place = message_template_place(template, &len);
        if (place < PLACE_MAX_) {
            html_fill(&html, place, facts, &links);
        } else { /* a brace that message_template_problem would refuse is copied */
            len = 1 + strcspn(template + 1, "{");
            html_add(&html, template, len);
        }
        template += len;
    }
    /* "{title}" of a task that has none: Telegram takes no empty message. */
    if (is_blank(&html))
        html_name(&html, facts->task);
    if (is_default)
        html_details(&html, facts, &links);
    links_done(&links);
    return html.out.text;
}

/* messages of their own */

/* The task, and where it is; the message goes on behind it. */
static void html_task(struct html *html, const struct store_task *task)
{
    html_say(html, PERSON_SIGN);
    html_name(html, task);
    if (task->repo && *task->repo) {
        html_say(html, " (");
        html_value(html, task->repo);
        html_say(html, ")");
    }
}

char *message_of_quarantine(const struct store_task *task, int64_t window_s)
{
    struct html html = {.out.max = LIMIT_MESSAGE, .units_max = LIMIT_MESSAGE_UNITS};
    html_task(&html, task);
    AUTO_FREE char *window = duration_text(window_s);
    AUTO_FREE char *reason =
        mem_printf(" was healed %" PRId64 " times in %s at ", task->recent_heals, window);
    html_say(&html, reason);
    html_value(&html, task->stage);
    html_say(&html, ": left to a person");
    return html.out.text;
}

char *message_of_failed_replay(const struct store_task *task)
{
    struct html html = {.out.max = LIMIT_MESSAGE, .units_max = LIMIT_MESSAGE_UNITS};
    html_task(&html, task);
    char reason[120];
    html_say(&html, " stays at ");
    html_value(&html, task->stage);
    snprintf(reason, sizeof reason,
             ", though its event was sent to the orchestrator %d times: left to a person",
             LIMIT_REPLAY_TRIES);
    html_say(&html, reason);
    return html.out.text;
}

char *message_of_webhook(const char *repo, const char *detail)
{
    struct html html = {.out.max = LIMIT_MESSAGE, .units_max = LIMIT_MESSAGE_UNITS};
    html_say(&html, SILENCE_SIGN);
    html_value(&html, repo);
    html_say(&html, ": ");
    html_value(&html, detail);
    return html.out.text;
}

char *message_of_silence(const char *source, size_t tasks)
{
    struct html html = {.out.max = LIMIT_MESSAGE, .units_max = LIMIT_MESSAGE_UNITS};
    char reason[120];
    html_say(&html, SILENCE_SIGN "events of ");
    html_value(&html, source);
    snprintf(reason, sizeof reason, " were lost for %zu tasks within an hour: does its webhook still work?",
             tasks);
    html_say(&html, reason);
    return html.out.text;
}

/* Whether a message that was made here is a transition's; a template that begins as the others do counts as
 * one of these. */
static bool is_of_transition(const char *text)
{
    return strncmp(text, PERSON_SIGN, strlen(PERSON_SIGN)) != 0 &&
           strncmp(text, SILENCE_SIGN, strlen(SILENCE_SIGN)) != 0;
}

/* "58 tasks unblocked (lost webhooks), 2 other messages". Caller frees. */
static char *digest_head(size_t heals, size_t others)
{
    if (heals == 0)
        return mem_printf("%zu messages in one", others);
    AUTO_FREE char *rest =
        others ? mem_printf(", %zu other message%s", others, others == 1 ? "" : "s") : mem_dup("");
    return mem_printf("%zu task%s unblocked (lost webhook%s)%s", heals, heals == 1 ? "" : "s",
                      heals == 1 ? "" : "s", rest);
}

char *message_digest(const char *const *texts, size_t n)
{
    size_t heals = 0;
    for (size_t i = 0; i < n; i++)
        heals += is_of_transition(texts[i]);
    AUTO_FREE char *head = digest_head(heals, n - heals);
    struct html html = {.out.max = LIMIT_MESSAGE, .units_max = LIMIT_MESSAGE_UNITS};
    char reason[80];
    html_say(&html, "🔧 reconciler: ");
    html_say(&html, head);
    for (size_t i = 0; i < n && i < DIGEST_LINES; i++) {
        html_say(&html, "\n• ");
        html_line(&html, texts[i]);
    }
    if (n > DIGEST_LINES) {
        snprintf(reason, sizeof reason, "\n… and %zu more", n - DIGEST_LINES);
        html_say(&html, reason);
    }
    return html.out.text;
}

char *message_placeholder(size_t n, const char *receiver)
{
    return mem_printf("🔧 reconciler: %zu message%s that %s would not show; the ledger has %s", n,
                      n == 1 ? "" : "s", receiver, n == 1 ? "it" : "them");
}

char *message_plain(const char *html)
{
    static const struct {
        const char *entity, *plain;
    } entities[] = {{"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}};
    struct buffer out = {.max = LIMIT_MESSAGE};
    buffer_puts(&out, "");
    while (*html) {
        size_t i = 0;
        while (i < ARRAY_LEN(entities) && strncmp(html, entities[i].entity, strlen(entities[i].entity)) != 0)
            i++;
        if (i < ARRAY_LEN(entities)) {
            buffer_puts(&out, entities[i].plain);
            html += strlen(entities[i].entity);
        } else {
            buffer_putc(&out, *html++);
        }
    }
    return buffer_take(&out);
}
