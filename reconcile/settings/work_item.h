/* work_item.h - the names a started issue gets: its work item id and its branch. Pure, thread-safe. */
#ifndef RECONCILED_WORK_ITEM_H
#define RECONCILED_WORK_ITEM_H

#include <stdbool.h>
#include <stdint.h>

/* work_item_id: "ORCH-44". Caller frees. */
char *work_item_id(const char *prefix, int64_t sequence);

/* work_item_has_prefix: "ORCH-44" has "ORCH", in whatever case. */
bool work_item_has_prefix(const char *id, const char *prefix);

/* work_item_branch: "feature/ORCH-44-basket-keeps-its-items": the title's ASCII letters and digits in lower
 * case, every run of anything else one '-', at most WORK_ITEM_SLUG_MAX bytes, cut between words where there
 * is one. A title without letters and digits gives "feature/ORCH-44". In the prefix, '/' and what git allows
 * in no name (git-check-ref-format) become '-'. Caller frees. */
enum { WORK_ITEM_SLUG_MAX = 48 };
char *work_item_branch(const char *prefix, int64_t sequence, const char *title);

#endif
