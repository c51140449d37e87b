#include "apps/controller/installation.hpp"

#include <filesystem>

namespace weir::controller {
namespace {

std::string without_line_end(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    return text;
}

}  // namespace

Status create_installation(const std::string& dir, const std::string& name,
                           const std::vector<std::string>& addresses) {
    if (std::filesystem::exists(dir + "/ca.pem")) {
        return Error{Errc::conflict, dir, {},
                     "holds an installation already; use another --dir, or run it with "
                     "weir-controller run"};
    }
    const auto authority = rest::Authority::create(name);
    if (!authority) return authority.error();
    const auto credentials = authority->issue({rest::Role::controller, name}, addresses);
    if (!credentials) return credentials.error();
    const auto token = rest::make_token();
    if (!token) return token.error();
    std::error_code failed;
    std::filesystem::create_directories(dir, failed);
    std::filesystem::permissions(dir, std::filesystem::perms::owner_all, failed);
    if (failed) return Error{Errc::io, dir, {}, "cannot be made: " + failed.message()};
    if (auto s = rest::save_credentials(dir + "/controller", *credentials); !s) return s;
    if (auto s = rest::write_private_file(dir + "/admin.token", *token + "\n"); !s) return s;
    return authority->save(dir);  // last: ca.pem says that the rest is there
}

Result<Installation> load_installation(const std::string& dir) {
    auto credentials = rest::load_credentials(dir + "/controller");
    if (!credentials) {
        Error error = credentials.error();
        error.message += "; make an installation with: weir-controller init --dir " + dir;
        return error;
    }
    auto token = rest::read_file(dir + "/admin.token", 4096);
    if (!token) return token.error();
    return Installation{std::move(*credentials), without_line_end(std::move(*token)),
                        dir + "/store.sqlite"};
}

Result<std::string> issue_into(const std::string& dir, const rest::Identity& identity,
                               std::string out) {
    const auto authority = rest::Authority::load(dir);
    if (!authority) return authority.error();
    const auto credentials = authority->issue(identity);
    if (!credentials) return credentials.error();
    if (out.empty()) {
        out = dir + "/issued/" + std::string(name_of(identity.role)) + "-" + identity.name;
    }
    if (auto status = rest::save_credentials(out, *credentials); !status) return status.error();
    return out;
}

}  // namespace weir::controller
