#include "api/rest/message.hpp"

#include <gtest/gtest.h>

namespace weir::rest {
namespace {

TEST(Route, SplitsAndUnescapes) {
    const auto route = Route::parse("/v1/port/a%2Fb?dry_run=true&set=my+lab&empty&x=%25");
    ASSERT_TRUE(route) << route.error().text();
    EXPECT_EQ(route->parts, (std::vector<std::string>{"v1", "port", "a/b"}));
    EXPECT_TRUE(route->flag("dry_run"));
    EXPECT_TRUE(route->flag("empty"));
    EXPECT_FALSE(route->flag("prune"));
    EXPECT_FALSE(route->flag("set"));
    EXPECT_EQ(route->value("set"), "my lab");
    EXPECT_EQ(route->value("x"), "%");
    EXPECT_EQ(route->value("absent"), "");
}

TEST(Route, RefusesWhatIsNoPath) {
    for (const char* bad : {"", "v1", "/v1//x", "/a%2", "/a%zz", "/a%00b", "/x?y=%1"}) {
        EXPECT_FALSE(Route::parse(bad)) << bad;
    }
    EXPECT_TRUE(Route::parse("/"));
    EXPECT_TRUE(Route::parse("/v1/"));
}

TEST(Route, EscapeIsUndoneByParse) {
    std::string all;
    for (int c = 0x20; c < 0x100; ++c) all += static_cast<char>(c);
    const auto route = Route::parse("/x/" + escape(all) + "?k=" + escape(all));
    ASSERT_TRUE(route);
    EXPECT_EQ(route->parts[1], all);
    EXPECT_EQ(route->value("k"), all);
}

TEST(Problem, CarriesEveryErrorThereAndBack) {
    const std::vector<Error> errors{{Errc::invalid, "port/g1", "mac", "two ports have it"},
                                    {Errc::invalid, "", "", "bad \xff byte"}};
    const Response response = problem(errors);
    EXPECT_EQ(response.status, 422);
    const auto back = errors_in(response);
    ASSERT_EQ(back.size(), 2u);
    EXPECT_EQ(back[0].text(), "port/g1: mac: two ports have it");
    EXPECT_EQ(back[0].code, Errc::invalid);
    EXPECT_TRUE(back[1].message.starts_with("bad "));
}

TEST(Problem, AnswerWithoutErrorsStillSaysSomething) {
    EXPECT_TRUE(errors_in({200, "", "{}"}).empty());
    const auto errors = errors_in({502, "text/html", "<html>"});
    ASSERT_EQ(errors.size(), 1u);
    EXPECT_NE(errors[0].message.find("502"), std::string::npos);
    EXPECT_EQ(errors_in({404, "", R"({"errors":[1,{"message":5}]})"}).size(), 1u);
}

TEST(Target, ParsesEveryKind) {
    EXPECT_EQ(Target::parse("unix:/run/x.sock")->host, "/run/x.sock");
    const auto tls = Target::parse("https://[fd00::1]:8443/");
    ASSERT_TRUE(tls);
    EXPECT_EQ(tls->host, "fd00::1");
    EXPECT_EQ(tls->port, "8443");
    EXPECT_EQ(tls->text(), "https://[fd00::1]:8443");
    EXPECT_EQ(Target::parse("http://127.0.0.1:80")->kind, Target::Kind::plain);
    for (const char* bad : {"", "unix:", "https://", "https://h", "https://h:99999", "ftp://h:1",
                            "https://fd00::1:80", "https://:80", "https://h:"}) {
        EXPECT_FALSE(Target::parse(bad)) << bad;
    }
}

}  // namespace
}  // namespace weir::rest
