/* curl_group.h - curl for the tests of a program: TEST_GROUP(curl_begin, curl_end). The proxies of the
 * environment are not used. */
#ifndef RECONCILED_TESTS_CURL_GROUP_H
#define RECONCILED_TESTS_CURL_GROUP_H

int curl_begin(void **state);
int curl_end(void **state);

#endif
