/* The links to pages of Gitea and Plane. */
#include "clients/base/err.h"
#include "reconcile/settings/settings.h"
#include "reconcile/settings/weblink.h"
#include "tests/support/test.h"

#define PROJECT "b3a4f0c2-6f0e-4f8e-9d3f-0f6f1c2b7a11"
#define ISSUE "0d6f7b1e-3c3c-4a5e-8d6a-6f1f3d6a2b11"

static char git_api[] = "http://gitea:3000/git", git_web[] = "https://git.example/base",
            plane_api[] = "http://plane-api", plane_web[] = "https://plane.example", workspace[] = "acme";
static struct project project = {
    .repo = "acme/shop", .plane_project_id = PROJECT, .prefix = "SHOP", .base_branch = "main"};

static void assert_link(char *link_take, const char *expected)
{
    if (expected)
        assert_string_equal(link_take, expected);
    else
        assert_null(link_take);
    free(link_take);
}

TEST(pages_are_below_the_web_urls)
{
    const struct settings settings = {.gitea_url = git_api,
                                      .gitea_web_url = git_web,
                                      .plane_url = plane_api,
                                      .plane_web_url = plane_web,
                                      .plane_workspace = workspace,
                                      .projects = &project,
                                      .n_projects = 1};
    assert_link(weblink_branch(&settings, "acme/shop", "feature/SHOP-1 a#b"),
                "https://git.example/base/acme/shop/src/branch/feature/SHOP-1%20a%23b");
    assert_link(weblink_commit(&settings, "acme/shop", "abc"),
                "https://git.example/base/acme/shop/commit/abc");
    assert_link(weblink_tree(&settings, "acme/shop", "abc"),
                "https://git.example/base/acme/shop/src/commit/abc");
    assert_link(weblink_pull(&settings, "acme/shop", 5), "https://git.example/base/acme/shop/pulls/5");
    assert_link(weblink_issue(&settings, PROJECT, ISSUE),
                "https://plane.example/acme/projects/" PROJECT "/issues/" ISSUE);
    assert_link(weblink_task(&settings, "acme/shop", "SHOP-1", ISSUE),
                "https://plane.example/acme/projects/" PROJECT "/issues/" ISSUE);
}

TEST(without_web_urls_they_are_below_those_of_the_apis)
{
    const struct settings settings = {
        .gitea_url = git_api, .plane_url = plane_api, .plane_workspace = workspace};
    assert_link(weblink_branch(&settings, "acme/shop", "b"), "http://gitea:3000/git/acme/shop/src/branch/b");
    assert_link(weblink_issue(&settings, PROJECT, ISSUE),
                "http://plane-api/acme/projects/" PROJECT "/issues/" ISSUE);
}

TEST(what_is_not_known_has_no_page)
{
    const struct settings none = {.n_projects = 0};
    const struct settings settings = {
        .gitea_url = git_api, .plane_url = plane_api, .plane_workspace = workspace};
    assert_link(weblink_branch(&none, "acme/shop", "b"), NULL);
    assert_link(weblink_issue(&none, PROJECT, ISSUE), NULL);
    assert_link(weblink_branch(&settings, "shop", "b"), NULL);
    assert_link(weblink_branch(&settings, NULL, "b"), NULL);
    assert_link(weblink_branch(&settings, "acme/shop", NULL), NULL);
    assert_link(weblink_branch(&settings, "acme/..", "b"), NULL);
    assert_link(weblink_pull(&settings, "acme/shop", 0), NULL);
    assert_link(weblink_task(&settings, "acme/shop", "SHOP-1", ISSUE), NULL); /* of no project */
    assert_link(weblink_issue(&settings, PROJECT, NULL), NULL);
}
