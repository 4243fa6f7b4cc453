/* Gitea's client: what is at a path of a commit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/limits.h"
#include "tests/support/clients/gitea/gitea_scene.h"

#define TREE(name) API "/git/trees/" name "?page=1&per_page=500"
#define PAGE(name, page) API "/git/trees/" name "?page=" page "&per_page=500"
#define ROW(path, type) "{\"path\":\"" path "\",\"type\":\"" type "\",\"sha\":\"id-" path "\"}"

static void on_tree(struct scene *scene, const char *target, const char *rows)
{
    on_json(scene, target, NULL, mem_printf("{\"tree\":[%s],\"truncated\":false}", rows));
}

/* As Gitea refuses what git does not know, and what it failed to look up. */
static void on_refusal(struct scene *scene, const char *target)
{
    script_server_on(scene->server, target,
                     &(struct script_reply){.status = 400, .body = "{\"message\":\"sha not found []\"}"});
}

static const struct gitea_files *files_asked(struct scene *scene, const char *path)
{
    const struct gitea_files *files = gitea_files(scene->facts, scene->gitea, REPO, SHA, path);
    scene_settle(scene);
    return files;
}

static void a_file_is_found_in_the_list_of_its_folder(void **state)
{
    struct scene *scene = *state;
    on_tree(scene, TREE(SHA "%3Adocs%2Fa%20b"), ROW("s", "tree") "," ROW("l", "blob") "," ROW("m", "commit"));
    const struct gitea_files *file = files_asked(scene, "docs/a b/l");
    assert_int_equal(file->fact.state, FACT_KNOWN);
    assert_string_equal(file->first, "docs/a b/l");
    assert_int_equal(facts_exchanges(scene->facts), 1);
    const struct gitea_files *submodule = files_asked(scene, "docs/a b/m/");
    assert_int_equal(submodule->fact.state, FACT_KNOWN);
    assert_null(submodule->first);
    assert_int_equal(files_asked(scene, "docs/a b/none")->fact.state, FACT_ABSENT);
    assert_int_equal(facts_exchanges(scene->facts), 3);
    on_tree(scene, TREE(SHA), ROW("top", "blob"));
    assert_string_equal(files_asked(scene, "top")->first, "top");
}

static void a_folder_is_listed_by_its_id_and_slashes_do_not_matter(void **state)
{
    struct scene *scene = *state;
    on_tree(scene, TREE(SHA "%3Adocs%2Fa%20b"), ROW("06-adr", "tree") "," ROW("deep", "tree"));
    on_tree(scene, TREE("id-06-adr"), ROW("s", "tree") "," ROW("1.md", "blob") "," ROW("2.md", "blob"));
    on_tree(scene, TREE("id-deep"), ROW("s", "tree"));
    const struct gitea_files *found = files_asked(scene, "/docs//a b/06-adr/");
    assert_int_equal(found->fact.state, FACT_KNOWN);
    assert_string_equal(found->first, "docs/a b/06-adr/1.md");
    assert_int_equal(facts_exchanges(scene->facts), 2);
    const struct gitea_files *deep = files_asked(scene, "docs/a b/deep");
    assert_int_equal(deep->fact.state, FACT_KNOWN);
    assert_null(deep->first);
    assert_int_equal(files_asked(scene, "docs/../../x")->fact.state, FACT_FAILED);
}

static void absence_is_read_from_a_listing_alone(void **state)
{
    struct scene *scene = *state;
    on_refusal(scene, TREE(SHA "%3Aa%2Fb%2Fc"));
    on_refusal(scene, TREE(SHA "%3Aa%2Fb"));
    on_tree(scene, TREE(SHA "%3Aa"), ROW("x", "blob"));
    assert_int_equal(files_asked(scene, "a/b/c/1.md")->fact.state, FACT_ABSENT);
    assert_int_equal(facts_exchanges(scene->facts), 3);

    on_refusal(scene, TREE(SHA "%3Aa%2Fx")); /* a file stands where the path has a folder */
    assert_int_equal(files_asked(scene, "a/x/1.md")->fact.state, FACT_ABSENT);

    on_refusal(scene, TREE(SHA "%3Az")); /* Gitea failed to look: the folder is there */
    on_refusal(scene, TREE(SHA));
    const struct gitea_files *unknown = files_asked(scene, "z/1.md");
    assert_int_equal(unknown->fact.state, FACT_FAILED);
    assert_string_equal(unknown->fact.error,
                        "Gitea answered 400 for z/1.md at 0123456789ab of acme/shop: sha not found []");
    script_server_on(scene->server, TREE(SHA "%3Ay"), &(struct script_reply){.status = 500, .body = "{}"});
    assert_int_equal(files_asked(scene, "y/1.md")->fact.state, FACT_FAILED);
}

/* Of a proxy, in front of any of the folders. */
static void a_404_that_is_not_giteas_is_no_absence(void **state)
{
    struct scene *scene = *state;
    static const struct script_reply foreign = {.status = 404, .type = "text/plain", .body = "no backend"};
    on_tree(scene, TREE(SHA), ROW("x", "blob"));
    script_server_on(scene->server, TREE(SHA "%3Aa"), &foreign);
    const struct gitea_files *files = files_asked(scene, "a/1.md");
    assert_int_equal(files->fact.state, FACT_FAILED);
    assert_string_equal(files->fact.error, "Gitea answered 404 (text/plain) for a/1.md at 0123456789ab of "
                                           "acme/shop; not Gitea's own answer, is THE_URL right?");
    assert_int_equal(facts_exchanges(scene->facts), 1);
}

static void a_server_that_knows_trees_by_id_alone_is_walked_down(void **state)
{
    struct scene *scene = *state;
    on_tree(scene, TREE(SHA), ROW("a", "tree")); /* all others: 404 */
    on_tree(scene, TREE("id-a"), ROW("b", "tree"));
    on_tree(scene, TREE("id-b"), ROW("c", "blob"));
    assert_string_equal(files_asked(scene, "a/b/c")->first, "a/b/c");
    assert_string_equal(files_asked(scene, "a/b")->first, "a/b/c");
    assert_int_equal(files_asked(scene, "a/c")->fact.state, FACT_ABSENT);
    assert_int_equal(files_asked(scene, "b/gone")->fact.state, FACT_ABSENT);
    on_tree(scene, TREE("id-a"), ROW("gone", "tree")); /* by its id it cannot but be there */
    assert_int_equal(files_asked(scene, "a/gone/x")->fact.state, FACT_FAILED);
}

static void what_a_cut_list_lacks_is_on_its_next_page(void **state)
{
    struct scene *scene = *state;
    on_json(scene, PAGE(SHA, "1"), NULL,
            mem_dup("{\"tree\":[" ROW("a", "tree") "],\"truncated\":true,\"total_count\":3}"));
    on_json(scene, PAGE(SHA, "2"), NULL,
            mem_dup("{\"tree\":[" ROW("b", "tree") "],\"truncated\":true,\"total_count\":3}"));
    on_json(scene, PAGE(SHA, "3"), NULL,
            mem_dup("{\"tree\":[" ROW("c", "blob") "],\"truncated\":false,\"total_count\":3}"));
    assert_string_equal(files_asked(scene, "c")->first, "c");
    assert_int_equal(files_asked(scene, "d")->fact.state, FACT_ABSENT);
    assert_int_equal(facts_exchanges(scene->facts), 6);
    on_json(scene, PAGE("id-a", "1"), NULL, mem_dup("{\"tree\":[" ROW("s", "tree") "],\"total_count\":2}"));
    on_json(scene, PAGE("id-a", "2"), NULL, mem_dup("{\"tree\":[" ROW("f", "blob") "],\"total_count\":2}"));
    assert_string_equal(files_asked(scene, "a")->first, "a/f");

    on_json(scene, PAGE("id-b", "1"), NULL, mem_dup("{\"tree\":[" ROW("s", "tree") "],\"total_count\":2}"));
    on_json(scene, PAGE("id-b", "2"), NULL, mem_dup("{\"tree\":null,\"total_count\":2}"));
    const struct gitea_files *holes = files_asked(scene, "b");
    assert_int_equal(holes->fact.state, FACT_FAILED);
    assert_non_null(strstr(holes->fact.error, "a page without rows before the last one"));
}

static void a_folder_without_end_is_not_read_for_ever(void **state)
{
    struct scene *scene = *state;
    for (size_t page = 1; page <= LIMIT_UPSTREAM_PAGES + 1; page++) {
        AUTO_FREE char *target = mem_printf(API "/git/trees/" SHA "?page=%zu&per_page=500", page);
        on_json(scene, target, NULL, mem_dup("{\"tree\":[" ROW("a", "tree") "],\"truncated\":true}"));
    }
    const struct gitea_files *files = files_asked(scene, "z");
    assert_int_equal(files->fact.state, FACT_FAILED);
    assert_non_null(strstr(files->fact.error, "Gitea has more than 200 pages of the folder of z"));
    assert_int_equal(facts_exchanges(scene->facts), LIMIT_UPSTREAM_PAGES);
}

int main(void)
{
    gitea_scene_prepare();
    const struct CMUnitTest tests[] = {
        IN_SCENE(a_file_is_found_in_the_list_of_its_folder),
        IN_SCENE(a_folder_is_listed_by_its_id_and_slashes_do_not_matter),
        IN_SCENE(absence_is_read_from_a_listing_alone),
        IN_SCENE(a_404_that_is_not_giteas_is_no_absence),
        IN_SCENE(a_server_that_knows_trees_by_id_alone_is_walked_down),
        IN_SCENE(what_a_cut_list_lacks_is_on_its_next_page),
        IN_SCENE(a_folder_without_end_is_not_read_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
