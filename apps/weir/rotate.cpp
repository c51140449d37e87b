#include <sys/random.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <thread>

#include "apps/weir/verbs.hpp"
#include "model/json.hpp"
#include "model/secret.hpp"

// Replaces the key of a service segment while traffic goes on: first every host takes the new key,
// then every host signs with it, then the old one is forgotten. The list of keys says how far that
// has come, so that a rotation that was interrupted is finished by the next.
namespace weir::command {
namespace {

using model::Value;

constexpr std::size_t key_bytes = 32;

std::string fresh_secret() {
    model::Secret secret;
    secret.bytes.resize(key_bytes);
    if (getrandom(secret.bytes.data(), key_bytes, 0) != static_cast<ssize_t>(key_bytes))
        throw Failure{1,
                      {{Errc::unavailable, "rotate-key", "", "the kernel gives no random bytes"}}};
    return secret.text();
}

std::uint64_t id_of(const Value& key) {
    return key["id"].as_uint();
}
std::uint64_t id_behind(const Value& key) {
    return id_of(key) % 255 + 1;
}

class Rotation {
public:
    Rotation(const Session& session, const std::string& segment, double timeout_s)
        : session_(session), path_("/v1/service-segment/" + segment), timeout_s_(timeout_s) {}

    void run(double rollover_s) {
        Value::Array keys = read()["auth_keys"].items();
        if (keys.size() > 2 || (keys.size() == 2 && id_of(keys[1]) != id_behind(keys[0]) &&
                                id_of(keys[0]) != id_behind(keys[1])))
            throw Failure{1,
                          {{Errc::conflict, path_.substr(4), "auth_keys",
                            "are not what a rotation leaves behind: keep one of them first"}}};
        if (keys.empty()) return begin();
        if (keys.size() == 1) {
            keys.push_back(make_key(id_behind(keys[0])));
            write("every host takes key " + std::to_string(id_of(keys[1])), keys, false);
            keys[1].set("secret", model::Secret::hidden);
        }
        if (id_of(keys[1]) == id_behind(keys[0])) {
            std::swap(keys[0], keys[1]);
            write("every host signs with key " + std::to_string(id_of(keys[0])), keys, false);
        }
        const std::uint64_t old = id_of(keys[1]);
        let_arrive(old, rollover_s);
        keys.pop_back();
        write("key " + std::to_string(old) + " is forgotten", keys, false);
    }
    // What was done, for programs: steps with their revisions.
    const Value& steps() const { return steps_; }

private:
    // Signing is switched on: unsigned packets count until all hosts sign.
    void begin() {
        Value::Array keys{make_key(1)};
        write("every host signs with key 1", keys, true);
        keys[0].set("secret", model::Secret::hidden);
        write("what is not signed is dropped", keys, false);
    }
    static Value make_key(std::uint64_t id) {
        Value key = Value::object();
        key.set("id", id);
        key.set("secret", fresh_secret());
        return key;
    }
    Value read() const {
        Value segment = session_.get(path_);
        std::erase_if(segment.edit_members(),
                      [](const Value::Member& member) { return member.key == "kind"; });
        return segment;
    }
    void write(const std::string& what, const Value::Array& keys, bool optional) {
        Value segment = read();
        segment.set("auth_keys", Value(keys));
        segment.set("auth_optional", optional);
        const std::uint64_t revision =
            session_.send("PUT", path_, model::dump_json(segment))["revision"].as_uint();
        std::fprintf(stderr, "waiting until %s\n", what.c_str());
        const Value applied = applied_everywhere(session_, revision, timeout_s_);
        Value& step = steps_.push(Value::object());
        step.set("step", what);
        step.set("revision", revision);
        if (!session_.table()) return;
        std::printf("%s: revision %llu is applied on %zu hosts\n", what.c_str(),
                    static_cast<unsigned long long>(revision), applied["hosts"].size());
        std::fflush(stdout);
    }
    // Packets that were signed with the key may still be under way.
    static void let_arrive(std::uint64_t key, double seconds) {
        using Clock = std::chrono::steady_clock;
        using Seconds = std::chrono::duration<double>;
        constexpr double told_every_s = 10;
        const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                            Seconds(seconds));
        for (double left = seconds; left > 0; left = Seconds(end - Clock::now()).count()) {
            std::fprintf(stderr, "packets signed with key %llu may arrive for %.0f s more\n",
                         static_cast<unsigned long long>(key), std::ceil(left));
            std::this_thread::sleep_for(Seconds(std::min(left, told_every_s)));
        }
    }

    const Session& session_;
    const std::string path_;
    const double timeout_s_;
    Value steps_ = Value::array();
};

}  // namespace

void rotate_key(const Session& session, const std::string& segment, double rollover_s,
                double timeout_s) {
    Rotation rotation(session, segment, timeout_s);
    rotation.run(rollover_s);
    if (!session.table()) session.print(rotation.steps());
}

}  // namespace weir::command
