/* store_fake.h - the rows of a store that a test made up. */
#ifndef RECONCILED_TESTS_STORE_FAKE_H
#define RECONCILED_TESTS_STORE_FAKE_H

#include "clients/store/store_rows.h"

/* store_fake_settings: what SQL_SETTINGS_READ answers. */
struct store_rows store_fake_settings(int64_t revision, const char *overrides, int64_t now_us);
/* store_fake_nothing: no row. */
struct store_rows store_fake_nothing(void);

#endif
