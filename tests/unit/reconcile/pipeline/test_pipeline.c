/* The pipeline as data: what is accepted, what is refused and in which words, what is built from it. */
#include <sys/mman.h>
#include <unistd.h>

#include "clients/base/jsonx.h"
#include "clients/base/limits.h"
#include "reconcile/pipeline/pipeline.h"
#include "tests/support/test.h"

static struct pipeline *loaded(const char *text)
{
    struct pipeline *pipeline = NULL;
    json_auto_t *problems = json_array();
    enum err err = pipeline_load(text, strlen(text), &pipeline, problems);
    if (err != ERR_OK) {
        AUTO_FREE char *line = json_line(problems);
        print_error("%s\n", line);
    }
    assert_int_equal(err, ERR_OK);
    assert_int_equal(json_array_size(problems), 0);
    return pipeline;
}

/* Every problem of a document, each followed by '\n'. */
static char *problems_of(const char *text)
{
    struct pipeline *untouched = NULL;
    json_auto_t *problems = json_array();
    assert_int_equal(pipeline_load(text, strlen(text), &untouched, problems), ERR_INVALID);
    assert_null(untouched);
    char *all = mem_dup("");
    for (size_t i = 0; i < json_array_size(problems); i++) {
        char *longer = mem_printf("%s%s\n", all, json_string_value(json_array_get(problems, i)));
        free(all);
        all = longer;
    }
    return all;
}

static void assert_problems(const char *text, const char *expected)
{
    AUTO_FREE char *got = problems_of(text);
    assert_string_equal(got, expected);
}

/* A document whose first stage has these gates. */
static char *with_gates(const char *gates)
{
    return mem_printf(
        "{\"stages\":[{\"name\":\"a\",\"next\":\"z\",\"gates\":%s},{\"name\":\"z\",\"terminal\":true}]}",
        gates);
}

static void assert_gates_refused(const char *gates, const char *expected)
{
    AUTO_FREE char *text = with_gates(gates);
    assert_problems(text, expected);
}

static void assert_gates_accepted(const char *gates)
{
    AUTO_FREE char *text = with_gates(gates);
    pipeline_free(loaded(text));
}

static const char *gates_in_words(const struct stage *stage)
{
    static char reason[128];
    reason[0] = '\0';
    for (size_t i = 0; i < stage->n_gates; i++)
        snprintf(reason + strlen(reason), sizeof reason - strlen(reason), "%s ",
                 gate_kind_name(stage->gates[i].kind));
    return reason;
}

TEST(built_in_pipeline_is_the_contracts_table)
{
    static const struct {
        const char *name, *agent, *gates, *next, *on_rejected;
        bool human, gated, terminal;
    } table[] = {
        {"created", NULL, "", "analysis", NULL, false, false, false},
        {"analysis", "analyst", "human ", "architecture", "analysis", true, false, false},
        {"architecture", "architect", "files ", "development", NULL, false, true, false},
        {"development", "developer", "ci ", "review", NULL, false, true, false},
        {"review", "reviewer", "review ", "testing", "development", false, true, false},
        {"testing", "tester", "ci ", "deploy", "development", false, true, false},
        {"deploy", "deployer", "merged ", "done", NULL, false, true, false},
        {"done", NULL, "", NULL, NULL, false, false, true},
    };
    struct pipeline *pipeline = NULL;
    json_auto_t *problems = json_array();
    assert_int_equal(pipeline_load_file(NULL, &pipeline, problems), ERR_OK);
    assert_int_equal(pipeline->n_stages, ARRAY_LEN(table));
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const struct stage *stage = &pipeline->stages[i];
        assert_string_equal(stage->name, table[i].name);
        assert_string_equal(pipeline->names[i], table[i].name);
        assert_ptr_equal(pipeline_stage(pipeline, table[i].name), stage);
        assert_string_equal(stage->agent ? stage->agent : "", table[i].agent ? table[i].agent : "");
        assert_string_equal(gates_in_words(stage), table[i].gates);
        assert_ptr_equal(stage->next, pipeline_stage(pipeline, table[i].next));
        assert_ptr_equal(stage->on_rejected, pipeline_stage(pipeline, table[i].on_rejected));
        assert_int_equal(stage->human, table[i].human);
        assert_int_equal(stage_is_gated(stage), table[i].gated);
        assert_int_equal(stage->terminal, table[i].terminal);
    }
    assert_null(pipeline->names[pipeline->n_stages]);
    const struct gate *files = pipeline_stage(pipeline, "architecture")->gates;
    assert_int_equal(files->n_paths, 1);
    assert_string_equal(files->paths[0], "docs/work-items/{work_item_id}/06-adr/");
    assert_int_equal(pipeline_stage(pipeline, "review")->gates->approvals, 1);
    assert_null(pipeline_stage(pipeline, "shipping"));
    assert_null(pipeline_stage(pipeline, NULL));
    pipeline_free(pipeline);
    pipeline_free(NULL);
}

TEST(options_of_every_gate_kind_are_read)
{
    struct pipeline *pipeline =
        loaded("{\"$schema\":\"pipeline.schema.json\",\"stages\":[{\"name\":\"a\",\"next\":\"z\",\"gates\":["
               "{\"kind\":\"ci\",\"contexts\":[\"build/*\",\"lint\"]},{\"kind\":\"files\",\"paths\":[\"x/"
               "{branch}\"]},"
               "{\"kind\":\"review\"},{\"kind\":\"review\",\"approvals\":20,\"official\":false},{\"kind\":"
               "\"merged\"},"
               "{\"kind\":\"http\",\"url\":\"http://orch:8000/gate/{task_id}?r={repo}\"}]},"
               "{\"name\":\"z\",\"terminal\":true}]}");
    const struct gate *gates = pipeline->stages[0].gates;
    assert_int_equal(pipeline->stages[0].n_gates, 6);
    assert_int_equal(gates[0].n_contexts, 2);
    assert_string_equal(gates[0].contexts[1], "lint");
    assert_string_equal(gates[1].paths[0], "x/{branch}");
    assert_int_equal(gates[1].n_contexts, 0);
    assert_int_equal(gates[2].approvals, 1);
    assert_true(gates[2].official);
    assert_int_equal(gates[3].approvals, 20);
    assert_false(gates[3].official);
    assert_int_equal(gates[4].kind, GATE_MERGED);
    assert_string_equal(gates[5].url, "http://orch:8000/gate/{task_id}?r={repo}");
    pipeline_free(pipeline);
}

TEST(document_that_is_no_pipeline_is_refused)
{
    assert_problems("[]", "pipeline: must be an object\n");
    assert_problems("{}", "pipeline: stages must be a list of 1 to 100 stages\n");
    assert_problems("{\"stages\":[]}", "pipeline: stages must be a list of 1 to 100 stages\n");
    assert_problems("{\"stages\":{},\"stage\":1}", "pipeline: unknown member: stage\n"
                                                   "pipeline: stages must be a list of 1 to 100 stages\n");
    AUTO_FREE char *broken = problems_of("{\"stages\":[");
    assert_ptr_equal(strstr(broken, "pipeline: not JSON at line 1"), broken);
    AUTO_FREE char *twice = problems_of("{\"stages\":[],\"stages\":[]}");
    assert_non_null(strstr(twice, "duplicate"));
}

TEST(every_problem_is_told_at_once_naming_stage_and_reason)
{
    assert_problems("{\"stages\":["
                    "{\"name\":\"a\",\"next\":\"b\",\"colour\":\"red\"},"
                    "{\"name\":\"review\",\"next\":\"shipping\",\"agent\":\"two words\"},"
                    "{\"name\":\"b\",\"next\":5,\"on_rejected\":\"nowhere\",\"gates\":{}},"
                    "{\"name\":\"Upper Case\",\"terminal\":true},"
                    "{\"name\":\"b\",\"terminal\":\"yes\"},"
                    "7,"
                    "{\"name\":\"end\",\"terminal\":true,\"next\":\"a\",\"agent\":\"x\"}]}",
                    "stage number 4: name must be 1 to 64 small letters, digits, hyphens or underscores\n"
                    "stage number 5: there is a stage called b before it\n"
                    "stage number 6: name must be 1 to 64 small letters, digits, hyphens or underscores\n"
                    "stage a: unknown member: colour\n"
                    "stage review: agent must be 1 to 64 letters, digits, hyphens, underscores or dots\n"
                    "stage review: next names no stage: shipping\n"
                    "stage b: next must be the name of a stage\n"
                    "stage b: on_rejected names no stage: nowhere\n"
                    "stage b: gates must be a list of at most 16\n"
                    "stage number 5: terminal must be true or false\n"
                    "stage number 5: has no next and is not terminal\n"
                    "stage number 6: must be an object\n"
                    "stage end: is terminal and must not have agent\n"
                    "stage end: is terminal and must not have next\n");
}

TEST(first_stage_must_not_be_terminal)
{
    assert_problems("{\"stages\":[{\"name\":\"done\",\"terminal\":true}]}",
                    "stage done: is the first and must not be terminal\n");
}

TEST(every_stage_must_be_reachable_from_the_first)
{
    assert_problems("{\"stages\":[{\"name\":\"a\",\"next\":\"z\"},{\"name\":\"island\",\"next\":\"z\"},"
                    "{\"name\":\"z\",\"terminal\":true}]}",
                    "stage island: cannot be reached from the first stage\n");
    pipeline_free(loaded("{\"stages\":[{\"name\":\"a\",\"next\":\"z\",\"on_rejected\":\"again\"},"
                         "{\"name\":\"again\",\"next\":\"a\"},{\"name\":\"z\",\"terminal\":true}]}"));
}

TEST(every_stage_must_reach_an_end_without_a_rejection)
{
    assert_problems(
        "{\"stages\":[{\"name\":\"a\",\"next\":\"b\"},{\"name\":\"b\",\"next\":\"a\",\"on_rejected\":\"z\"},"
        "{\"name\":\"z\",\"terminal\":true}]}",
        "stage a: never reaches a terminal stage by its nexts\n"
        "stage b: never reaches a terminal stage by its nexts\n");
    assert_problems("{\"stages\":[{\"name\":\"a\",\"next\":\"a\"}]}",
                    "stage a: never reaches a terminal stage by its nexts\n");
}

TEST(human_gate_stands_alone)
{
    assert_gates_accepted("[{\"kind\":\"human\"}]");
    assert_gates_refused("[{\"kind\":\"ci\"},{\"kind\":\"human\"}]",
                         "stage a, gate 2: a human gate stands alone\n");
}

TEST(unknown_kinds_and_options_are_refused)
{
    assert_gates_refused("[1]", "stage a, gate 1: must be an object\n");
    assert_gates_refused("[{}]", "stage a, gate 1: has no kind\n");
    assert_gates_refused("[{\"kind\":7}]", "stage a, gate 1: has no kind\n");
    assert_gates_refused("[{\"kind\":\"moon\"}]", "stage a, gate 1: there is no kind of gate called moon\n");
    assert_gates_refused("[{\"kind\":\"ci\",\"approvals\":1}]",
                         "stage a, gate 1: unknown member: approvals\n");
    assert_gates_refused("[{\"kind\":\"files\"}]", "stage a, gate 1: files needs paths\n");
    assert_gates_refused("[{\"kind\":\"http\"}]", "stage a, gate 1: http needs url\n");
    assert_gates_accepted("[]");
}

TEST(approvals_are_between_1_and_20)
{
    static const char *const bad[] = {"0", "21", "-1", "1.0", "\"1\"", "true", "null"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO_FREE char *gates = mem_printf("[{\"kind\":\"review\",\"approvals\":%s}]", bad[i]);
        assert_gates_refused(gates, "stage a, gate 1: approvals must be a whole number from 1 to 20\n");
    }
}

TEST(official_is_true_or_false)
{
    static const char *const bad[] = {"0", "1", "\"false\"", "null", "[]"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO_FREE char *gates = mem_printf("[{\"kind\":\"review\",\"official\":%s}]", bad[i]);
        assert_gates_refused(gates, "stage a, gate 1: official must be true or false\n");
    }
    assert_gates_refused("[{\"kind\":\"merged\",\"official\":true}]",
                         "stage a, gate 1: unknown member: official\n");
}

TEST(contexts_are_1_to_50_texts)
{
    static const char *const bad[] = {"[]", "{}", "\"build\"", "null"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO_FREE char *gates = mem_printf("[{\"kind\":\"ci\",\"contexts\":%s}]", bad[i]);
        assert_gates_refused(gates, "stage a, gate 1: contexts must be a list of 1 to 50 texts\n");
    }
    assert_gates_refused("[{\"kind\":\"ci\",\"contexts\":[\"ok\",\"\",3,\"a\\tb\"]}]",
                         "stage a, gate 1: contexts: item 2 must be text of 1 to 500 bytes\n"
                         "stage a, gate 1: contexts: item 3 must be text of 1 to 500 bytes\n"
                         "stage a, gate 1: contexts: item 4 must be text of 1 to 500 bytes\n");
    json_auto_t *gates = json_pack("[{s:s, s:[]}]", "kind", "ci", "contexts");
    json_t *contexts = json_object_get(json_array_get(gates, 0), "contexts");
    for (unsigned i = 0; i < LIMIT_GATE_ITEMS; i++)
        json_push(contexts, json_text("x"));
    AUTO_FREE char *most = json_line(gates);
    assert_gates_accepted(most);
    json_push(contexts, json_text("x"));
    AUTO_FREE char *more = json_line(gates);
    assert_gates_refused(more, "stage a, gate 1: contexts must be a list of 1 to 50 texts\n");
}

TEST(paths_stay_within_the_repository)
{
    static const char *const good[] = {"a", "a/b", "a/b/", "docs/{work_item_id}/x", "{branch}", "..a/b.."};
    static const struct {
        const char *path, *problem;
    } bad[] = {
        {"/etc", "must not begin with /"},
        {"a//b", "must not have empty, . or .. segments"},
        {"a/../b", "must not have empty, . or .. segments"},
        {"..", "must not have empty, . or .. segments"},
        {"./a", "must not have empty, . or .. segments"},
        {"a\\\\b", "must not have a backslash"},
        {"{secret}", "has a placeholder that nothing fills in"},
        {"{repo}", "has a placeholder that nothing fills in"},
        {"a{", "has a placeholder that nothing fills in"},
        {"a}", "has a placeholder that nothing fills in"},
        {"{{branch}}", "has a placeholder that nothing fills in"},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        AUTO_FREE char *gates = mem_printf("[{\"kind\":\"files\",\"paths\":[\"%s\"]}]", good[i]);
        assert_gates_accepted(gates);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO_FREE char *gates = mem_printf("[{\"kind\":\"files\",\"paths\":[\"%s\"]}]", bad[i].path);
        AUTO_FREE char *text = with_gates(gates);
        AUTO_FREE char *got = problems_of(text);
        AUTO_FREE char *expected = mem_printf("stage a, gate 1: paths: item 1 %s: ", bad[i].problem);
        assert_ptr_equal(strstr(got, expected), got);
    }
}

TEST(gate_urls_are_http_with_known_placeholders)
{
    static const char *const good[] = {"http://orch/gate/{task_id}",
                                       "HTTPS://o.example:8443/?a={stage}&b={branch}",
                                       "http://[::1]:80/{work_item_id}", "http://127.0.0.1"};
    static const struct {
        const char *url, *problem;
    } bad[] = {
        {"ftp://x/", "must begin with http:// or https://"},
        {"file:///etc/passwd", "must begin with http:// or https://"},
        {"", "must begin with http:// or https://"},
        {"http://", "names no valid host"},
        {"http:///x", "names no valid host"},
        {"http://{branch}/x", "names no valid host"},
        {"http://orch{task_id}.example/", "names no valid host"},
        {"http://a:b@orch/", "must not hold a user or a password"},
        {"http://orch:0/", "names no valid port"},
        {"http://orch:/", "names no valid port"},
        {"http://orch:65536/", "names no valid port"},
        {"http://orch:{task_id}/", "names no valid port"},
        {"http://orch/#x", "must not have a fragment (#)"},
        {"http://orch/a b", "has a character that must be percent-encoded"},
        {"http://orch/ü", "has a character that must be percent-encoded"},
        {"http://orch/{token}", "has a placeholder that nothing fills in"},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        AUTO_FREE char *gates = mem_printf("[{\"kind\":\"http\",\"url\":\"%s\"}]", good[i]);
        assert_gates_accepted(gates);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO_FREE char *gates = mem_printf("[{\"kind\":\"http\",\"url\":\"%s\"}]", bad[i].url);
        AUTO_FREE char *expected = mem_printf("stage a, gate 1: url %s\n", bad[i].problem);
        assert_gates_refused(gates, expected);
    }
}

TEST(pipeline_file_is_read_and_its_absence_told)
{
    int fd = memfd_create("pipeline", MFD_CLOEXEC);
    assert_true(fd >= 0);
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const char *text = "{\"stages\":[{\"name\":\"a\",\"next\":\"z\"},{\"name\":\"z\",\"terminal\":true}]}";
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    struct pipeline *pipeline = NULL;
    json_auto_t *problems = json_array();
    assert_int_equal(pipeline_load_file(path, &pipeline, problems), ERR_OK);
    assert_int_equal(pipeline->n_stages, 2);
    pipeline_free(pipeline);

    assert_int_equal(ftruncate(fd, (off_t)LIMIT_PIPELINE_FILE + 1), 0);
    pipeline = NULL;
    assert_int_equal(pipeline_load_file(path, &pipeline, problems), ERR_INVALID);
    close(fd);
    assert_int_equal(pipeline_load_file(path, &pipeline, problems), ERR_INVALID);
    assert_int_equal(pipeline_load_file("/", &pipeline, problems), ERR_INVALID);
    assert_null(pipeline);
    assert_non_null(strstr(json_string_value(json_array_get(problems, 0)), "is larger than 256 KiB"));
    assert_non_null(strstr(json_string_value(json_array_get(problems, 1)), "cannot be read: No such file"));
    assert_non_null(strstr(json_string_value(json_array_get(problems, 2)), "cannot be read: Is a directory"));
}

static void file_write(int fd, const char *text)
{
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, text, strlen(text), 0), (ssize_t)strlen(text));
}

TEST(pipeline_file_may_begin_with_a_byte_order_mark_and_is_named_with_its_errors)
{
    int fd = memfd_create("pipeline", MFD_CLOEXEC);
    assert_true(fd >= 0);
    AUTO_FREE char *path = mem_printf("/proc/self/fd/%d", fd);
    struct pipeline *pipeline = NULL;
    json_auto_t *problems = json_array();
    file_write(
        fd, "\xef\xbb\xbf{\"stages\":[{\"name\":\"a\",\"next\":\"z\"},{\"name\":\"z\",\"terminal\":true}]}");
    assert_int_equal(pipeline_load_file(path, &pipeline, problems), ERR_OK);
    assert_int_equal(pipeline->n_stages, 2);
    pipeline_free(pipeline);
    static const char *const bad[] = {"{", "", "\xef\xbb\xbf", "\xef\xbb\xbf\xef\xbb\xbf{}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        file_write(fd, bad[i]);
        assert_int_equal(pipeline_load_file(path, &pipeline, problems), ERR_INVALID);
        AUTO_FREE char *expected = mem_printf("%s: not JSON at line 1", path);
        const char *line = json_string_value(json_array_get(problems, i));
        assert_non_null(line);
        assert_memory_equal(line, expected, strlen(expected));
    }
    close(fd);
}

/* The schema is for editors; it must not promise or forbid another document than the program does. */
TEST(schema_names_the_same_kinds_options_and_limits)
{
    static const char *const options[] = {"contexts", "paths", "approvals", "official", "url"};
    json_error_t error;
    json_auto_t *schema =
        json_load_file("reconcile/pipeline/pipeline.schema.json", JSON_REJECT_DUPLICATES, &error);
    if (!schema)
        print_error("reconcile/pipeline/pipeline.schema.json: %s\n", error.text);
    assert_non_null(schema);
    json_t *defs = json_object_get(schema, "$defs");
    json_t *kinds = json_object_get(json_object_get(defs, "gate"), "oneOf");
    assert_int_equal(json_array_size(kinds), GATE_KIND_MAX_);
    for (int i = 0; i < GATE_KIND_MAX_; i++) {
        json_t *kind = json_array_get(kinds, (size_t)i);
        json_t *properties = json_object_get(kind, "properties");
        const char *name = json_get_text(json_object_get(properties, "kind"), "const", "");
        assert_string_equal(name, gate_kind_name((enum gate_kind)i));
        assert_true(json_is_false(json_object_get(kind, "additionalProperties")));
        for (size_t k = 0; k < ARRAY_LEN(options); k++) {
            AUTO_FREE char *gates = mem_printf("[{\"kind\":\"%s\",\"%s\":[[]]}]", name, options[k]);
            AUTO_FREE char *text = with_gates(gates);
            AUTO_FREE char *got = problems_of(text);
            bool known = json_object_get(properties, options[k]) != NULL;
            assert_int_equal(strstr(got, "unknown member") == NULL, known);
        }
    }
    json_t *gate_item = json_object_get(defs, "items");
    assert_int_equal(json_get_int(gate_item, "maxItems", 0), LIMIT_GATE_ITEMS);
    json_t *review = json_object_get(json_array_get(kinds, GATE_REVIEW), "properties");
    assert_int_equal(json_get_int(json_object_get(review, "approvals"), "maximum", 0), LIMIT_APPROVALS);
    json_t *stages = json_object_get(json_object_get(schema, "properties"), "stages");
    assert_int_equal(json_get_int(stages, "maxItems", 0), LIMIT_STAGES);
}
