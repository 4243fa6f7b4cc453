#include "tests/sandbox/mailer.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clients/base/text.h"
#include "tests/sandbox/sandbox.h"
#include "tests/sandbox/world.h"

#define GITEA_TIMEOUT_MS 5000L  /* [webhook] DELIVER_TIMEOUT */
#define PLANE_TIMEOUT_MS 30000L /* requests.post(timeout=30) */
#define MAIL_QUEUE_MAX 20000
#define MAIL_KEPT 256u

enum { SINCE_TARGET_TYPE = 12400 };

struct letter {
    struct letter *next;
    enum mail_sender sender;
    int64_t retries; /* left */
    struct uuid_text delivery;
    const char *event, *type; /* static */
    const char *target_type;  /* static; Gitea's alone; NULL: not sent */
    char *url, *secret, *authorization, *payload;
    size_t payload_len;
};

struct mailer {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    pthread_t thread;
    struct letter *first, **end;
    struct {
        int64_t queued, sent, failed, lost;
    } counts[MAIL_SENDER_MAX];
    int64_t kept;
    bool gave_up;
    struct {
        enum mail_sender sender;
        struct uuid_text delivery;
        const char *type, *outcome;
        char url[128];
        long status;
    } deliveries[MAIL_KEPT];
    atomic_bool stopping; /* also read by a delivery under way */
};

static void letter_free(struct letter *letter)
{
    free(letter->url);
    free(letter->secret);
    free(letter->authorization);
    free(letter->payload);
    free(letter);
}

/* sending */

static void hmac_hex(const EVP_MD *md, const struct letter *letter, char *ret_hex)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    ret_hex[0] = '\0';
    if (!letter->secret || !*letter->secret)
        return; /* the headers are then there and empty */
    HMAC(md, letter->secret, (int)strlen(letter->secret), (const unsigned char *)letter->payload,
         letter->payload_len, digest, &len);
    for (unsigned i = 0; i < len; i++)
        snprintf(ret_hex + (size_t)i * 2, 3, "%02x", digest[i]);
}

static void line_add(struct curl_slist **headers, char *line_take)
{
    struct curl_slist *grown = curl_slist_append(*headers, line_take);
    free(line_take);
    if (!grown)
        abort();
    *headers = grown;
}

static void header_add(struct curl_slist **headers, const char *name, const char *value)
{
    /* curl leaves out a header without value unless it ends in ';' */
    line_add(headers, *value ? mem_printf("%s: %s", name, value) : mem_printf("%s;", name));
}

static struct curl_slist *gitea_headers(const struct letter *letter)
{
    static const char *const families[] = {"Gitea", "Gogs"};
    char sha256[EVP_MAX_MD_SIZE * 2 + 1], sha1[EVP_MAX_MD_SIZE * 2 + 1], text[EVP_MAX_MD_SIZE * 2 + 16];
    struct curl_slist *headers = NULL;
    hmac_hex(EVP_sha256(), letter, sha256);
    hmac_hex(EVP_sha1(), letter, sha1);
    header_add(&headers, "Content-Type", "application/json");
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        snprintf(text, sizeof text, "X-%s-Delivery", families[i]);
        header_add(&headers, text, letter->delivery.s);
        snprintf(text, sizeof text, "X-%s-Event", families[i]);
        header_add(&headers, text, letter->event);
        snprintf(text, sizeof text, "X-%s-Event-Type", families[i]);
        header_add(&headers, text, letter->type);
        snprintf(text, sizeof text, "X-%s-Signature", families[i]);
        header_add(&headers, text, sha256);
    }
    if (letter->target_type) {
        header_add(&headers, "X-Gitea-Hook-Installation-Target-Type", letter->target_type);
        header_add(&headers, "X-GitHub-Hook-Installation-Target-Type", letter->target_type);
    }
    line_add(&headers, mem_dup("Accept:")); /* curl's own is left out */
    header_add(&headers, "X-GitHub-Delivery", letter->delivery.s);
    header_add(&headers, "X-GitHub-Event", letter->event);
    header_add(&headers, "X-GitHub-Event-Type", letter->type);
    snprintf(text, sizeof text, "sha1=%s", sha1);
    header_add(&headers, "X-Hub-Signature", text);
    snprintf(text, sizeof text, "sha256=%s", sha256);
    header_add(&headers, "X-Hub-Signature-256", text);
    if (letter->authorization && *letter->authorization)
        header_add(&headers, "Authorization", letter->authorization);
    return headers;
}

/* The signature is hex alone, without "sha256=", and only there with a secret. */
static struct curl_slist *plane_headers(const struct letter *letter)
{
    char sha256[EVP_MAX_MD_SIZE * 2 + 1];
    struct curl_slist *headers = NULL;
    hmac_hex(EVP_sha256(), letter, sha256);
    header_add(&headers, "Content-Type", "application/json");
    header_add(&headers, "User-Agent", "Autopilot");
    header_add(&headers, "X-Plane-Delivery", letter->delivery.s);
    header_add(&headers, "X-Plane-Event", letter->event);
    if (*sha256)
        header_add(&headers, "X-Plane-Signature", sha256);
    return headers;
}

static bool is_loopback(const char *url)
{
    char *host = NULL;
    CURLU *parsed = curl_url();
    bool loopback =
        parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        (strcmp(host, "127.0.0.1") == 0 || strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0);
    curl_free(host);
    curl_url_cleanup(parsed);
    return loopback;
}

static size_t drop_body(char *bytes, size_t size, size_t n, void *arg)
{
    (void)bytes, (void)arg;
    return size * n;
}

static int give_up_when_stopping(void *stopping, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                                 curl_off_t up)
{
    (void)down_total, (void)down, (void)up_total, (void)up;
    return atomic_load((const atomic_bool *)stopping);
}

/* Returns the HTTP status, 0 when there was no answer. */
static long letter_send(const struct letter *letter, atomic_bool *stopping)
{
    long status = 0;
    CURL *easy = is_loopback(letter->url) ? curl_easy_init() : NULL;
    if (!easy)
        return 0;
    bool plane = letter->sender == MAIL_PLANE;
    struct curl_slist *headers = plane ? plane_headers(letter) : gitea_headers(letter);
    curl_easy_setopt(easy, CURLOPT_URL, letter->url);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, plane ? PLANE_TIMEOUT_MS : GITEA_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, give_up_when_stopping);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, stopping);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, letter->payload);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)letter->payload_len);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop_body);
    if (curl_easy_perform(easy) == CURLE_OK)
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    return status;
}

/* the queue */

static void record(struct mailer *mailer, const struct letter *letter, const char *outcome, long status)
{
    size_t at = (size_t)(mailer->kept++ % MAIL_KEPT);
    mailer->deliveries[at].sender = letter->sender;
    mailer->deliveries[at].delivery = letter->delivery;
    mailer->deliveries[at].type = letter->type;
    mailer->deliveries[at].outcome = outcome;
    mailer->deliveries[at].status = status;
    snprintf(mailer->deliveries[at].url, sizeof mailer->deliveries[at].url, "%s", letter->url);
}

/* A letter has been tried. Gitea marks a delivery as done before it tries; Plane repeats one that got no
 * answer at all, under another delivery id, and switches the webhook off when the last try has failed. */
static void after_try(struct mailer *mailer, struct letter *letter, long status)
{
    bool plane = letter->sender == MAIL_PLANE;
    bool sent = plane ? status > 0 : status >= 200 && status <= 299;
    *(sent ? &mailer->counts[letter->sender].sent : &mailer->counts[letter->sender].failed) += 1;
    record(mailer, letter, sent ? "sent" : "failed", status);
    if (plane && !sent && letter->retries > 0) {
        letter->retries--;
        letter->delivery = uuid_new();
        letter->next = NULL;
        *mailer->end = letter;
        mailer->end = &letter->next;
        return;
    }
    mailer->gave_up |= plane && !sent;
    mailer->counts[letter->sender].queued--;
    letter_free(letter);
}

static void *mailer_thread(void *arg)
{
    struct mailer *mailer = arg;
    pthread_mutex_lock(&mailer->lock);
    for (;;) {
        while (!mailer->first && !mailer->stopping)
            pthread_cond_wait(&mailer->changed, &mailer->lock);
        struct letter *letter = mailer->first;
        if (!letter || mailer->stopping)
            break;
        mailer->first = letter->next;
        if (!mailer->first)
            mailer->end = &mailer->first;
        pthread_mutex_unlock(&mailer->lock);
        long status = letter_send(letter, &mailer->stopping);
        pthread_mutex_lock(&mailer->lock);
        after_try(mailer, letter, status);
    }
    pthread_mutex_unlock(&mailer->lock);
    return NULL;
}

struct mailer *mailer_new(void)
{
    struct mailer *mailer = mem_zero(1, sizeof *mailer);
    pthread_mutex_init(&mailer->lock, NULL);
    pthread_cond_init(&mailer->changed, NULL);
    mailer->end = &mailer->first;
    if (pthread_create(&mailer->thread, NULL, mailer_thread, mailer) != 0)
        abort();
    return mailer;
}

void mailer_free(struct mailer *mailer)
{
    pthread_mutex_lock(&mailer->lock);
    mailer->stopping = true;
    pthread_cond_signal(&mailer->changed);
    pthread_mutex_unlock(&mailer->lock);
    pthread_join(mailer->thread, NULL);
    while (mailer->first) {
        struct letter *next = mailer->first->next;
        letter_free(mailer->first);
        mailer->first = next;
    }
    pthread_cond_destroy(&mailer->changed);
    pthread_mutex_destroy(&mailer->lock);
    free(mailer);
}

static void enqueue(struct mailer *mailer, struct letter *letter, bool lose)
{
    pthread_mutex_lock(&mailer->lock);
    if (lose || mailer->counts[letter->sender].queued == MAIL_QUEUE_MAX) {
        mailer->counts[letter->sender].lost++;
        record(mailer, letter, "lost", 0);
        letter_free(letter);
    } else {
        *mailer->end = letter;
        mailer->end = &letter->next;
        mailer->counts[letter->sender].queued++;
        pthread_cond_signal(&mailer->changed);
    }
    pthread_mutex_unlock(&mailer->lock);
}

static bool hook_wants(const struct webhook *hook, const char *wanted)
{
    for (size_t i = 0; hook->active && i < json_array_size(hook->events); i++)
        if (strcmp(json_string_value(json_array_get(hook->events, i)), wanted) == 0)
            return true;
    return false;
}

void mailer_post(struct sandbox *sandbox, const struct repo *repo, const char *event, const char *type,
                 const char *wanted, struct out *payload_take)
{
    const struct world *world = sandbox->world;
    const struct letter blank = {.sender = MAIL_GITEA, .event = event, .type = type};
    const struct {
        const struct list *hooks;
        const char *type;
    } levels[] = {{&repo->hooks, "repository"},
                  {&world->owner_hooks, "organization"},
                  {&world->system_hooks, "system"}};
    size_t n_targets =
        repo->hooks.n + world->owner_hooks.n + world->system_hooks.n + (world->hook_url ? 1 : 0);
    for (size_t i = 0, level = 0, at = 0; i < n_targets && world->mail_mode != MAIL_NONE; i++, at++) {
        for (; level < ARRAY_LEN(levels) && at == levels[level].hooks->n; level++)
            at = 0;
        const struct webhook *hook = level < ARRAY_LEN(levels) ? levels[level].hooks->items[at] : NULL;
        if (hook && (!hook_wants(hook, wanted) || (hook->owner && strcasecmp(hook->owner, repo->owner) != 0)))
            continue;
        struct letter *letter = mem_zero(1, sizeof *letter);
        *letter = blank;
        letter->delivery = uuid_new();
        letter->target_type = world->version < SINCE_TARGET_TYPE ? NULL
                              : hook                             ? levels[level].type
                                                                 : "system";
        letter->url = mem_dup(hook ? hook->url : world->hook_url);
        letter->secret = mem_dup(hook ? hook->secret : world->hook_secret);
        letter->authorization = mem_dup(hook ? hook->authorization : NULL);
        letter->payload = mem_dup(payload_take->text);
        letter->payload_len = payload_take->len;
        enqueue(sandbox->mailer, letter, world->mail_mode == MAIL_LOSE);
    }
    /* A change whose webhook is lost counts as lost even where no webhook is set up. */
    if (n_targets == 0 && world->mail_mode == MAIL_LOSE) {
        struct letter *letter = mem_zero(1, sizeof *letter);
        *letter = blank;
        letter->delivery = uuid_new();
        letter->url = mem_dup("");
        enqueue(sandbox->mailer, letter, true);
    }
    out_free(payload_take);
}

void mailer_post_plane(struct mailer *mailer, const char *url, const char *secret, const char *event,
                       int64_t retries, bool lose, char *payload_take)
{
    struct letter *letter = mem_zero(1, sizeof *letter);
    letter->sender = MAIL_PLANE;
    letter->event = letter->type = event;
    letter->retries = retries;
    letter->delivery = uuid_new();
    letter->url = mem_dup(url);
    letter->secret = mem_dup(secret);
    letter->payload = payload_take;
    letter->payload_len = strlen(payload_take);
    enqueue(mailer, letter, lose);
}

bool mailer_gave_up(struct mailer *mailer)
{
    pthread_mutex_lock(&mailer->lock);
    bool gave_up = mailer->gave_up;
    mailer->gave_up = false;
    pthread_mutex_unlock(&mailer->lock);
    return gave_up;
}

void mailer_write(struct mailer *mailer, enum mail_sender sender, struct out *out)
{
    pthread_mutex_lock(&mailer->lock);
    out_int(out, "queued", mailer->counts[sender].queued);
    out_int(out, "sent", mailer->counts[sender].sent);
    out_int(out, "failed", mailer->counts[sender].failed);
    out_int(out, "lost", mailer->counts[sender].lost);
    out_open(out, "deliveries", '[');
    for (int64_t i = mailer->kept > MAIL_KEPT ? mailer->kept - MAIL_KEPT : 0; i < mailer->kept; i++) {
        size_t at = (size_t)(i % MAIL_KEPT);
        if (mailer->deliveries[at].sender != sender)
            continue;
        out_open(out, NULL, '{');
        out_text(out, "delivery", mailer->deliveries[at].delivery.s);
        out_text(out, "event", mailer->deliveries[at].type);
        out_text(out, "url", mailer->deliveries[at].url);
        out_text(out, "outcome", mailer->deliveries[at].outcome);
        out_int(out, "status", mailer->deliveries[at].status);
        out_close(out, '}');
    }
    out_close(out, ']');
    pthread_mutex_unlock(&mailer->lock);
}

void mailer_reset(struct mailer *mailer)
{
    pthread_mutex_lock(&mailer->lock);
    for (size_t i = 0; i < MAIL_SENDER_MAX; i++)
        mailer->counts[i].sent = mailer->counts[i].failed = mailer->counts[i].lost = 0;
    mailer->kept = 0;
    mailer->gave_up = false;
    pthread_mutex_unlock(&mailer->lock);
}
