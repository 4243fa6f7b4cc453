/* plane_load.h - the stand-in Plane from JSON: in bulk, and one change at a time. README.md describes both.
 */
#ifndef SANDBOX_PLANE_LOAD_H
#define SANDBOX_PLANE_LOAD_H

#include <jansson.h>

#include "clients/base/err.h"
#include "tests/sandbox/out.h"

struct plane;
struct plane_issue;
struct plane_project;
struct sandbox;

/* plane_load: settings, keys, the webhook, projects with states and issues; adds to what is there. After
 * ERR_INVALID what came before the fault is there. No webhooks. */
ATTR_NODISCARD enum err plane_load(struct plane *plane, const json_t *document, struct why *why);
/* plane_load_issue: one more issue of a project, with its history. */
ATTR_NODISCARD enum err plane_load_issue(struct plane_project *project, const json_t *json,
                                         struct plane_issue **ret, struct why *why);
/* plane_generate: many issues at once (plane_generate.c). Writes the member "issues" of those in the states
 * that were asked for. */
ATTR_NODISCARD enum err plane_generate(struct plane *plane, const json_t *document, struct out *out,
                                       struct why *why);

/* plane_clock_set: {"manual","now","advance_ms"}. What became due is done. */
ATTR_NODISCARD enum err plane_clock_set(struct plane *plane, const json_t *document, struct why *why);

/* plane_change: one change or an array of them, and then the webhooks of all: Celery reads an issue when it
 * comes to it, so that what a webhook shows may be younger than the change it reports. Writes the member
 * "results". The first change that fails ends it, and those before it stand. */
ATTR_NODISCARD enum err plane_change(struct sandbox *sandbox, const json_t *changes, struct out *out,
                                     struct why *why);
/* plane_edit: another name, description or both (NULL: as it is), with activities and webhooks; the name is
 * copied, the description not. */
void plane_edit(struct plane_issue *issue, const char *name, const char *html, int64_t at_us, bool by_api);

/* plane_script: {"after_lists","changes"}: changes to be made once so many more list calls have been
 * answered. plane_script_run: makes those that are due. */
ATTR_NODISCARD enum err plane_script(struct plane *plane, const json_t *document, struct why *why);
void plane_script_run(struct sandbox *sandbox);

/* plane_instant: "{name}_at": RFC 3339, or "{name}_ago": seconds before now; the fallback when neither is
 * there. plane_html: a description from "description_html" or, of so many bytes, "description_bytes". */
int64_t plane_instant(const struct plane *plane, const json_t *json, const char *name, int64_t fallback_us);
const char *plane_html(struct plane *plane, const json_t *json, const char *fallback);

#endif
