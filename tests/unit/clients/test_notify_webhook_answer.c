/* What an answer to a message means that was sent to a webhook. */
#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "clients/delivery.h"
#include "clients/http/fetch.h"
#include "clients/notify_webhook.h"
#include "tests/support/test.h"

static struct delivery read_answer(struct fetch_answer answer)
{
    struct delivery delivery;
    notify_webhook_answer_read(&answer, &delivery);
    return delivery;
}

static struct delivery answered(int status, int64_t retry_after_s)
{
    char body[] = "s3cret";
    return read_answer((struct fetch_answer){.result = FETCH_ANSWERED,
                                             .status = status,
                                             .retry_after_s = retry_after_s,
                                             .body = body,
                                             .body_len = strlen(body)});
}

TEST(every_status_has_its_meaning)
{
    static const struct {
        int status;
        enum delivery_result result;
    } cases[] = {{200, DELIVERY_SENT},     {204, DELIVERY_SENT},    {302, DELIVERY_FAILED},
                 {400, DELIVERY_BAD_TEXT}, {401, DELIVERY_REFUSED}, {403, DELIVERY_REFUSED},
                 {404, DELIVERY_REFUSED},  {410, DELIVERY_REFUSED}, {413, DELIVERY_BAD_TEXT},
                 {422, DELIVERY_BAD_TEXT}, {429, DELIVERY_WAIT},    {500, DELIVERY_FAILED},
                 {502, DELIVERY_FAILED},   {503, DELIVERY_FAILED}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct delivery delivery = answered(cases[i].status, -1);
        assert_int_equal(delivery.result, cases[i].result);
        assert_int_equal(*delivery.error == '\0', cases[i].result == DELIVERY_SENT);
        assert_null(strstr(delivery.error, "s3cret"));
    }
}

TEST(a_pause_that_is_asked_for_is_within_limits)
{
    assert_int_equal(answered(429, 7).wait_s, 7);
    assert_int_equal(answered(503, 7).wait_s, 7);
    assert_int_equal(answered(503, 7).result, DELIVERY_WAIT);
    assert_int_equal(answered(429, 0).wait_s, 1);
    assert_in_range(answered(429, -1).wait_s, 1, 60);
    assert_int_equal(answered(429, INT64_MAX).wait_s, LIMIT_RETRY_AFTER_S);
}

TEST(without_an_answer_it_is_tried_again)
{
    struct delivery failed =
        read_answer((struct fetch_answer){.result = FETCH_TIMED_OUT, .error = "timed out"});
    assert_int_equal(failed.result, DELIVERY_FAILED);
    assert_string_equal(failed.error, "the webhook: timed out");
    assert_int_equal(read_answer((struct fetch_answer){.result = FETCH_ABORTED}).result, DELIVERY_STOPPED);
}
