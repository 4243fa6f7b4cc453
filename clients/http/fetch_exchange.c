#include "clients/http/fetch_engine.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/base/metric.h"
#include "clients/base/text.h"

#define REDIRECTS_MAX 3u
#define SHORT_RETRY_AFTER_S 5 /* a 429 that asks for a longer pause is the caller's to weigh */

/* Shorter than the time after which servers and proxies close idle connections (nginx: 75 s), so that none is
 * closed during a request. */
#define IDLE_CONNECTION_S 50L
#define DNS_CACHE_S 60L

/* curl's own; HTTP_PROXY is what a CGI program gets of a header named Proxy, and is not among them. */
static const char *const proxy_variables[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                              "ALL_PROXY"};

static const char too_many_headers[] = "an answer with too many headers";
static const char odd_coding[] = "an answer in a coding that was not asked for";
static const char too_long[] = ""; /* outcome_too_large adds the length */

void exchange_drop_reply(struct fetch_job *job)
{
    free(job->reply.text);
    job->reply = (struct buffer){.max = job->reserved};
}

bool exchange_outgrew(const struct fetch_job *job)
{
    curl_off_t announced = -1;
    curl_easy_getinfo(job->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
    return job->refused == too_long && job->reserved < job->answer_max &&
           announced <= (curl_off_t)job->answer_max;
}

static size_t reply_receive(const char *bytes, size_t size, size_t count, void *arg)
{
    struct fetch_job *job = arg;
    size_t len = size * count; /* curl promises size == 1 */
    buffer_put(&job->reply, bytes, len);
    if (!job->reply.full)
        return len;
    job->refused = too_long;
    return 0;
}

/* Whether curl may decode the body. curl also decodes codings that were not asked for (Debian's: br and zstd,
 * whose windows take up to 128 MiB), and reads them from Transfer-Encoding too. */
static bool coding_is_ours(const char *line, size_t len)
{
    static const char *const names[] = {"content-encoding:", "transfer-encoding:"};
    static const char *const known[] = {"gzip", "x-gzip", "deflate", "identity", "chunked", ""};
    char list[128];
    size_t skip = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (len >= strlen(names[i]) && strncasecmp(line, names[i], strlen(names[i])) == 0)
            skip = strlen(names[i]);
    if (skip == 0)
        return true;
    if (len - skip >= sizeof list)
        return false;
    memcpy(list, line + skip, len - skip);
    list[len - skip] = '\0';
    char *rest = list;
    for (char *name; (name = strsep(&rest, ", \t\r\n"));) {
        size_t i = 0;
        while (i < ARRAY_LEN(known) && strcasecmp(known[i], name) != 0)
            i++;
        if (i == ARRAY_LEN(known))
            return false;
    }
    return true;
}

/* One line, that of the status and the empty one included, of interim answers and trailers too. A folded line
 * is refused, because it would continue a line that was accepted. */
static size_t header_receive(const char *line, size_t size, size_t count, void *arg)
{
    struct fetch_job *job = arg;
    size_t len = size * count;
    job->header_bytes += len;
    if (job->header_bytes > LIMIT_ANSWER_HEADERS || ++job->header_lines > LIMIT_ANSWER_HEADER_LINES)
        job->refused = too_many_headers;
    else if (len > 0 && (*line == ' ' || *line == '\t' || !coding_is_ours(line, len)))
        job->refused = odd_coding;
    return job->refused ? 0 : len;
}

/* Which variable of the environment names the proxy, if no_proxy does not spare the host: curl alone
 * knows, and only its log shows it. */
static int log_receive(CURL *easy, curl_infotype type, char *line, size_t len, void *arg)
{
    static const char used[] = "Uses proxy env variable ";
    struct fetch_job *job = arg;
    (void)easy;
    if (type != CURLINFO_TEXT || len <= strlen(used) || memcmp(line, used, strlen(used)) != 0)
        return 0;
    line += strlen(used);
    len -= strlen(used);
    for (size_t i = 0; i < ARRAY_LEN(proxy_variables); i++) {
        size_t name_len = strlen(proxy_variables[i]);
        if (len > name_len && line[name_len] == ' ' && memcmp(line, proxy_variables[i], name_len) == 0)
            job->proxy = proxy_variables[i];
    }
    return 0;
}

static bool may_be_proxied(const struct fetch *fetch)
{
    bool named = false;
    for (size_t i = 0; i < ARRAY_LEN(proxy_variables); i++) {
        const char *value = getenv(proxy_variables[i]);
        named |= value && *value;
    }
    return named && !fetch->ourselves;
}

/* The one place that sets curl's options. CURLOPT_MAXFILESIZE does nothing for bodies of unknown length
 * before curl 8.4, so reply_receive has the cap. HTTP/2 of 7.88 has defects that 8.0 and 8.1 mended. */
static unsigned policy_set(const struct fetch *fetch, CURL *easy)
{
    unsigned bad = 0;
    bad |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* Without this the end of a call waits for the thread that resolves its name, and every other call waits
     * too. */
    bad |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    bad |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    bad |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, fetch->ourselves ? 0L : 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, fetch->ourselves ? 0L : 2L);
    if (fetch->ourselves)
        bad |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (fetch->ca_file) /* instead of the system's file; the system's folder (CURLOPT_CAPATH) stays */
        bad |= curl_easy_setopt(easy, CURLOPT_CAINFO, fetch->ca_file);
    bad |= curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    bad |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "reconciled/" RECONCILED_VERSION);
    bad |= curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, IDLE_CONNECTION_S);
    bad |= curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, DNS_CACHE_S);
    return bad;
}

static unsigned method_set(CURL *easy, const struct fetch_job *job)
{
    unsigned bad = 0;
    if (job->body) {
        bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)job->body_len);
        bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, job->body);
    }
    if (strcmp(job->method, "HEAD") == 0)
        bad |= curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else if (!job->is_get || job->body)
        bad |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, job->method);
    if (!job->is_get) /* curl itself repeats a request that met a dead kept-alive connection, even a POST */
        bad |= curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    return bad;
}

bool exchange_start(const struct fetch *fetch, CURL *easy, struct fetch_job *job, int64_t now_ms)
{
    int64_t left_ms = job->deadline_ms - now_ms;
    job->limit_ms = left_ms < fetch->timeout_ms ? left_ms : fetch->timeout_ms;
    int64_t connect_ms = (fetch->timeout_ms + 1) / 2;
    job->connect_ms = connect_ms < job->limit_ms ? connect_ms : job->limit_ms;
    job->easy = easy;
    exchange_drop_reply(job);
    job->header_bytes = 0;
    job->header_lines = 0;
    job->refused = NULL;
    job->proxy = NULL;

    curl_easy_reset(easy); /* keeps connections, names and sessions */
    unsigned bad = policy_set(fetch, easy) | method_set(easy, job);
    bad |= curl_easy_setopt(easy, CURLOPT_URL, job->url);
    bad |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, job->headers);
    bad |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)job->limit_ms);
    bad |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)job->connect_ms);
    bad |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, reply_receive);
    bad |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, job);
    bad |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, header_receive);
    bad |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, job);
    bad |= curl_easy_setopt(easy, CURLOPT_PRIVATE, job);
    if (may_be_proxied(fetch)) {
        bad |= curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L);
        bad |= curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, log_receive);
        bad |= curl_easy_setopt(easy, CURLOPT_DEBUGDATA, job);
    }
    return bad == 0;
}

char *exchange_redirect(const struct fetch_job *job)
{
    long status = 0;
    const char *url = NULL;
    curl_easy_getinfo(job->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(job->easy, CURLINFO_REDIRECT_URL, &url);
    bool may_follow = job->is_get ? status >= 300 && status <= 399
                                  : job->follow && (status == 301 || status == 307 || status == 308);
    if (!may_follow || !url || job->redirects >= REDIRECTS_MAX)
        return NULL;
    AUTO_FREE char *origin = fetch_origin(url);
    if (!origin || strcmp(origin, job->origin) != 0 || fetch_url_has_user(url))
        return NULL;
    return mem_dup(url);
}

/* what an exchange came to */

static void words_set(struct fetch_answer *answer, const char *error)
{
    snprintf(answer->error, sizeof answer->error, "%s", error);
}

/* Which limit ended the call: that for connecting, which is shorter, or that for the whole call. The duration
 * shows it. Curl's times do not, because an earlier connection that died also counts; they are used only if
 * both limits are equal.
 */
static bool is_connecting(const struct fetch_job *job, int64_t duration_ms)
{
    curl_off_t connected_us = 0; /* its own time to connect is 0 on a connection that was kept */
    if (job->connect_ms < job->limit_ms)
        return duration_ms < job->limit_ms;
    curl_easy_getinfo(job->easy, CURLINFO_PRETRANSFER_TIME_T, &connected_us);
    return connected_us == 0;
}

static void outcome_timed_out(const struct fetch_job *job, struct fetch_outcome *outcome)
{
    bool connecting = is_connecting(job, outcome->answer.duration_ms);
    outcome->result = FETCH_TIMED_OUT;
    outcome->silent = true;
    snprintf(outcome->answer.error, sizeof outcome->answer.error, "timed out after %.3g s%s",
             (double)(connecting ? job->connect_ms : job->limit_ms) / 1000,
             connecting ? " while connecting" : "");
}

/* By OpenSSL's result for the upstream, else for a proxy that speaks TLS. Where the name is wrong, curl ends
 * the call before it asks for the result, which is then unspecified. */
static void outcome_not_trusted(const struct fetch_job *job, struct fetch_outcome *outcome)
{
    long result = X509_V_OK;
    curl_easy_getinfo(job->easy, CURLINFO_SSL_VERIFYRESULT, &result);
    if (result == X509_V_OK)
        curl_easy_getinfo(job->easy, CURLINFO_PROXY_SSL_VERIFYRESULT, &result);
    const char *reason;
    switch (result) {
    case X509_V_OK:
    case X509_V_ERR_UNSPECIFIED:
        reason = "it is for another host name";
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        reason = "it has expired";
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        reason = "it is not valid yet";
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        reason = "its authority is unknown";
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        reason =
            "its issuer is neither sent nor known: an intermediate certificate is missing, or its authority";
        break;
    default:
        reason = X509_verify_cert_error_string(result);
        break;
    }
    snprintf(outcome->answer.error, sizeof outcome->answer.error, "its TLS certificate is not trusted: %s",
             reason);
}

static void outcome_unreachable(const struct fetch_job *job, CURLcode code, struct fetch_outcome *outcome)
{
    outcome->result = FETCH_UNREACHABLE;
    outcome->silent = true;
    long os_errno = 0;
    curl_easy_getinfo(job->easy, CURLINFO_OS_ERRNO, &os_errno);
    if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY) {
        words_set(&outcome->answer, "no such host name");
    } else if (code == CURLE_PEER_FAILED_VERIFICATION) {
        outcome_not_trusted(job, outcome);
    } else if (code == CURLE_COULDNT_CONNECT && os_errno) {
        char buffer[80];
        words_set(&outcome->answer, strerror_r((int)os_errno, buffer, sizeof buffer));
        outcome->answer.error[0] = (char)tolower((unsigned char)outcome->answer.error[0]);
    } else {
        snprintf(outcome->answer.error, sizeof outcome->answer.error, "no connection: %s",
                 curl_easy_strerror(code));
    }
}

/* If a proxy refuses a tunnel, curl reports a broken connection. */
static bool outcome_refused_by_proxy(const struct fetch_job *job, struct fetch_outcome *outcome)
{
    long status = 0;
    curl_easy_getinfo(job->easy, CURLINFO_HTTP_CONNECTCODE, &status);
    if (status < 300)
        return false;
    outcome->result = FETCH_UNREACHABLE;
    outcome->silent = true;
    snprintf(outcome->answer.error, sizeof outcome->answer.error, "answered %ld", status);
    return true;
}

/* What failed is the way to the proxy, or the proxy, or what lies behind it. */
static void outcome_name_proxy(const struct fetch_job *job, CURLcode code, struct fetch_outcome *outcome)
{
    long status = 0;
    if (!job->proxy || outcome->result == FETCH_TOO_LARGE)
        return;
    curl_easy_getinfo(job->easy, CURLINFO_HTTP_CONNECTCODE, &status);
    bool is_its_own = code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_COULDNT_CONNECT ||
                      code == CURLE_PROXY || status >= 300;
    AUTO_FREE char *proxy = fetch_proxy_shown(job->proxy);
    AUTO_FREE char *words = mem_dup(outcome->answer.error);
    if (is_its_own)
        snprintf(outcome->answer.error, sizeof outcome->answer.error, "%s: %s", proxy, words);
    else
        snprintf(outcome->answer.error, sizeof outcome->answer.error, "%s, through %s", words, proxy);
}

static void outcome_cut(struct fetch_outcome *outcome, bool may_repeat, const char *error)
{
    outcome->result = FETCH_CUT;
    outcome->may_repeat = may_repeat;
    words_set(&outcome->answer, error);
}

static void outcome_too_large(const struct fetch_job *job, struct fetch_outcome *outcome)
{
    outcome->result = FETCH_TOO_LARGE;
    if (job->refused == too_long)
        snprintf(outcome->answer.error, sizeof outcome->answer.error, "an answer of more than %zu KiB",
                 job->answer_max / 1024);
    else
        words_set(&outcome->answer, job->refused ? job->refused : too_many_headers);
}

/* curl has its own limit for one line; older versions report it as out of memory. */
static bool is_long_line(CURLcode code)
{
#if LIBCURL_VERSION_NUM >= 0x080600
    if (code == CURLE_TOO_LARGE)
        return true;
#endif
    return code == CURLE_OUT_OF_MEMORY;
}

static void outcome_failed(const struct fetch_job *job, CURLcode code, struct fetch_outcome *outcome)
{
    if (job->refused || is_long_line(code)) { /* by us: curl calls it a write error */
        outcome_too_large(job, outcome);
        return;
    }
    if (outcome_refused_by_proxy(job, outcome))
        return;
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        outcome_timed_out(job, outcome);
        break;
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
        outcome_cut(outcome, true, "the connection was lost before an answer");
        break;
    case CURLE_PARTIAL_FILE:
        outcome_cut(outcome, true, "the connection was lost in the middle of the answer");
        break;
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_WRITE_ERROR: /* of its own: we refused nothing */
        outcome_cut(outcome, false, "the compression of the answer is broken");
        break;
    case CURLE_UNSUPPORTED_PROTOCOL: /* curl's word for HTTP/0.9, that is, for anything */
    case CURLE_WEIRD_SERVER_REPLY:
        outcome_cut(outcome, false, "the answer is not HTTP");
        break;
    default:
        outcome_unreachable(job, code, outcome);
        break;
    }
}

static int64_t header_number(CURL *easy, const char *name)
{
    struct curl_header *header;
    int64_t value;
    if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK ||
        !parse_i64(header->value, 0, INT64_MAX, &value))
        return -1;
    return value;
}

static int64_t retry_after(CURL *easy)
{
    struct curl_header *header;
    if (curl_easy_header(easy, "Retry-After", 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return -1;
    curl_off_t seconds =
        0; /* a date is turned into seconds; one that has passed is negative before curl 8.12 */
    curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds);
    return seconds < 0 ? 0 : seconds > LIMIT_RETRY_AFTER_S ? LIMIT_RETRY_AFTER_S : seconds;
}

static int64_t date_read(CURL *easy)
{
    struct curl_header *header;
    if (curl_easy_header(easy, "Age", 0, CURLH_HEADER, -1, &header) == CURLHE_OK ||
        curl_easy_header(easy, "Date", 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return 0;
    time_t seconds = curl_getdate(header->value, NULL);
    return seconds > 0 ? (int64_t)seconds * 1000000 + 500000 : 0;
}

static void content_type_read(CURL *easy, struct fetch_answer *answer)
{
    const char *type = NULL;
    curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &type);
    AUTO_FREE char *scrubbed = mem_dupn(type ? type : "", type ? strcspn(type, "; \t") : 0);
    size_t len = strlen(scrubbed);
    secret_scrub(scrubbed, len);
    if (len >= sizeof answer->content_type)
        len = sizeof answer->content_type - 1;
    for (size_t i = 0; i < len; i++)
        answer->content_type[i] =
            isprint((unsigned char)scrubbed[i]) ? (char)tolower((unsigned char)scrubbed[i]) : '?';
}

/* Over plain http a proxy's answer looks like the host's, except a 407. False: it is the proxy's. */
static bool proxy_let_through(const struct fetch_job *job, int status, struct fetch_outcome *outcome)
{
    struct fetch_answer *answer = &outcome->answer;
    if (!job->proxy || strncasecmp(job->url, "http://", 7) != 0)
        return true;
    AUTO_FREE char *proxy = fetch_proxy_shown(job->proxy);
    if (status != 407) {
        snprintf(answer->proxy, sizeof answer->proxy, "%s", proxy);
        return true;
    }
    outcome->result = FETCH_UNREACHABLE;
    outcome->silent = true;
    snprintf(answer->error, sizeof answer->error, "%s: answered 407", proxy);
    return false;
}

static void outcome_answered(struct fetch_job *job, struct fetch_outcome *outcome)
{
    struct fetch_answer *answer = &outcome->answer;
    long status = 0;
    curl_easy_getinfo(job->easy, CURLINFO_RESPONSE_CODE, &status);
    if (!proxy_let_through(job, (int)status, outcome))
        return;
    outcome->result = FETCH_ANSWERED;
    answer->status = (int)status;
    content_type_read(job->easy, answer);
    answer->total_count = header_number(job->easy, "X-Total-Count");
    answer->ratelimit_remaining = header_number(job->easy, "X-RateLimit-Remaining");
    answer->retry_after_s = retry_after(job->easy);
    answer->date_us = date_read(job->easy);
    if (job->reply.len > 0) {
        answer->body_len = job->reply.len;
        answer->body = buffer_take(&job->reply);
        secret_scrub(answer->body, answer->body_len); /* before anything reads it */
    }
    bool short_pause = answer->retry_after_s >= 0 && answer->retry_after_s <= SHORT_RETRY_AFTER_S;
    if (status == 429)
        outcome->may_repeat = short_pause;
    else if (status == 502 || status == 503 || status == 504)
        outcome->may_repeat = short_pause || answer->retry_after_s < 0;
}

void exchange_end(struct fetch_job *job, CURLcode code, struct fetch_outcome *ret)
{
    *ret = (struct fetch_outcome){
        .answer = {.tag = job->tag, .total_count = -1, .retry_after_s = -1, .ratelimit_remaining = -1},
    };
    curl_off_t total_us = 0;
    curl_easy_getinfo(job->easy, CURLINFO_TOTAL_TIME_T, &total_us);
    ret->answer.duration_ms = total_us / 1000;
    if (code == CURLE_OK)
        outcome_answered(job, ret);
    else {
        outcome_failed(job, code, ret);
        outcome_name_proxy(job, code, ret);
    }
    ret->answer.result = ret->result;
    secret_scrub(ret->answer.error, strlen(ret->answer.error));
}

/* counting */

static const char *class_of(enum fetch_result result, long status)
{
    static const char *const answered[] = {[2] = "2xx", [3] = "3xx", [4] = "4xx"};
    switch (result) {
    case FETCH_ANSWERED:
        if (status == 429)
            return "429";
        return status >= 200 && status <= 499 ? answered[status / 100] : "5xx";
    case FETCH_TIMED_OUT:
        return "timeout";
    case FETCH_UNREACHABLE:
        return "unreachable";
    case FETCH_CUT:
        return "cut";
    case FETCH_TOO_LARGE:
        return "too_large";
    case FETCH_NOT_ASKED: /* is never an exchange */
    case FETCH_ABORTED:
        break;
    }
    return "aborted";
}

void exchange_count(const struct fetch_job *job, enum fetch_result result)
{
    const char *upstream = fetch_upstream_name(job->upstream);
    long status = 0;
    curl_off_t total_us = 0;
    curl_easy_getinfo(job->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(job->easy, CURLINFO_TOTAL_TIME_T, &total_us);
    metric_count(METRIC_UPSTREAM_REQUESTS, upstream, class_of(result, status));
    if (result != FETCH_ABORTED) /* the length of a call that we ended is not the upstream's */
        metric_observe(METRIC_UPSTREAM_REQUEST_DURATION, upstream, total_us);
}
