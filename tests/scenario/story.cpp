#include "tests/scenario/story.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <sstream>

#include "model/core_resources.hpp"
#include "model/yaml.hpp"
#include "net/notation.hpp"
#include "net/parse.hpp"
#include "net/wire.hpp"
#include "tests/scenario/line.hpp"
#include "tests/scenario/node_words.hpp"
#include "tests/scenario/tunnel_frames.hpp"
#include "tests/scenario/world.hpp"

namespace weir::scenario {

namespace {

std::string read_file(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
}

class Story {
public:
    Story(std::string setup_dir, std::uint32_t workers)
        : setup_dir_(std::move(setup_dir)), world_(workers) {}

    std::string run(const std::string& path) {
        const std::vector<Line> lines = lines_of(read_file(path));
        if (lines.empty()) return path + ": cannot be read, or is empty";
        for (std::size_t i = 0; i < lines.size(); ++i) {
            const bool block = words_of(lines[i].text)[0] == "each";
            const Failure failure = block ? each(lines, i) : tell(lines[i], lines[i].text);
            if (!failure.why.empty())
                return path + ":" + std::to_string(failure.number) + ": " + failure.text +
                       "\n    " + failure.why;
        }
        if (std::string why = nothing_left(); !why.empty()) return path + ": at the end: " + why;
        for (const auto& [name, host] : world_.hosts())
            if (world_.drops("pipeline.no_outcome") != 0)
                return path + ": a packet had no outcome on " + name;
        return {};
    }

    void add_exits(ExitCounts& exits) {
        for (const auto& [name, host] : world_.hosts()) host->add_exits(exits);
    }

private:
    using Verb = std::string (Story::*)(const std::string& line,
                                        const std::vector<std::string>& words);

    struct Failure {
        int number = 0;
        std::string text;
        std::string why;  // empty: none
    };
    Failure tell(const Line& line, const std::string& text) {
        return {line.number, text, step(text)};
    }

    // "each 10001..11000 [10]" to "end": the lines between, with every 10th of these numbers in the
    // place of {}. `at` stands at "end" afterwards.
    Failure each(const std::vector<Line>& lines, std::size_t& at) {
        const Line& head = lines[at];
        const Range range = range_of(words_of(head.text));
        const auto is_end = [](const Line& line) { return words_of(line.text)[0] == "end"; };
        const auto first = lines.begin() + static_cast<std::ptrdiff_t>(at) + 1;
        const auto end = std::find_if(first, lines.end(), is_end);
        if (range.step == 0 || end == lines.end())
            return {head.number, head.text, "each FIRST..LAST [STEP], lines with {}, end"};
        at = static_cast<std::size_t>(end - lines.begin());
        for (std::uint64_t n = range.first; n <= range.last; n += range.step)
            for (auto line = first; line != end; ++line)
                if (Failure failure = tell(*line, with_number(line->text, n)); !failure.why.empty())
                    return failure;
        return {};
    }

    std::string step(const std::string& line) {
        static const std::map<std::string, Verb> verbs = {
            {"setup", &Story::setup},
            {"given", &Story::put},
            {"change", &Story::put},
            {"refused", &Story::refused},
            {"delete", &Story::erase},
            {"send", &Story::send},
            {"wire-send", &Story::wire_send},
            {"again", &Story::again},
            {"->", &Story::arrives},
            {"wire", &Story::wire},
            {"visit", &Story::visit},
            {"wait", &Story::wait},
            {"node", &Story::node},
            {"hang", &Story::node_state},
            {"resume", &Story::node_state},
            {"hold", &Story::node_holds},
            {"release", &Story::node_holds},
            {"move", &Story::move},
            {"cut", &Story::link},
            {"trace", &Story::trace},
            {"open", &Story::open},
            {"unplug", &Story::unplug},
            {"flows", &Story::flows},
            {"buffers", &Story::buffers},
            {"forget-arrivals", &Story::forget_arrivals},
            {"mend", &Story::link},
            {"restart", &Story::restart},
            {"flush", &Story::flush},
            {"away", &Story::away},
            {"back", &Story::away},
            {"bend", &Story::bend},
            {"swap", &Story::swap},
            {"move-port", &Story::move_port},
            {"expect", &Story::expect},
            {"forget-wire", &Story::forget_wire}};
        const auto words = words_of(line);
        const auto verb = verbs.find(words[0]);
        if (verb == verbs.end()) return "unknown verb " + words[0];
        const bool follows = words[0] == "->" || words[0] == "wire" || words[0] == "visit" ||
                             words[0] == "expect" || words[0] == "forget-arrivals";
        if (!follows)
            if (std::string why = nothing_left(); !why.empty()) return why;
        std::string why = (this->*verb->second)(line, words);
        return why.empty() ? std::exchange(world_.complaint, {}) : why;
    }

    // Frames that reached somebody and were not expected.
    std::string nothing_left() {
        if (arrived_.empty()) return {};
        const Sent sent = arrived_.front();
        arrived_.clear();
        return "not expected at " + sent.port + ": " + net::describe(sent.frame);
    }

    std::string setup(const std::string&, const std::vector<std::string>& words) {
        return put_text(read_file(setup_dir_ + "/" + words.at(1)));
    }
    std::string put_text(const std::string& yaml) {
        model::Errors errors;
        const auto documents = model::parse_documents(yaml, errors);
        if (!errors.empty()) return errors.list().front().text();
        return world_.put(documents);
    }
    static std::string document(const std::string& line) {
        const std::string kind = words_of(line).at(1), body = rest_of(line, 2);
        return "{kind: " + kind + ", " + (body.empty() ? "}" : body.substr(1));
    }
    std::string put(const std::string& line, const std::vector<std::string>&) {
        std::string why = put_text(document(line));
        collect();
        return why;
    }
    std::string refused(const std::string& line, const std::vector<std::string>&) {
        const std::size_t arrow = line.find("=>");
        if (arrow == std::string::npos) return "refused KIND {…} => part of the message";
        const std::string wanted = rest_of(line.substr(arrow), 1);
        const std::string why = put_text(document(line.substr(0, arrow)));
        if (why.empty()) return "it was accepted";
        return why.find(wanted) == std::string::npos ? "the message is: " + why : "";
    }
    std::string erase(const std::string&, const std::vector<std::string>& words) {
        return world_.erase(words.at(1), words.at(2));
    }

    // Source and destination MAC as the guest of the port would write them.
    std::string with_macs(const std::string& port_name, const std::string& notation) {
        const auto* port = world_.intent().find<model::Port>(port_name);
        if (!port || notation.find("smac=") != std::string::npos) return notation;
        std::string out = notation + " smac=" + port->mac.text();
        if (notation.find("dmac=") != std::string::npos) return out;
        const auto frame = net::parse_notation(notation);
        net::Headers headers;
        net::Tuple tuple;
        if (!frame || net::parse_inner(*frame, headers, tuple) != net::ParseError::none ||
            headers.family == net::Family::none)
            return out;
        const std::uint8_t* ip = frame->data() + headers.l3;
        const net::Ip to =
            headers.family == net::Family::ip4 ? net::Ip::from4(ip + 16) : net::Ip::from6(ip + 24);
        for (const auto& [name, other] : world_.intent().all<model::Port>())
            if (other.segment.name == port->segment.name &&
                std::find(other.addresses.begin(), other.addresses.end(), to) !=
                    other.addresses.end())
                return out + " dmac=" + other.mac.text();
        for (const auto& [name, router] : world_.intent().all<model::Router>())
            for (const auto& interface : router.interfaces)
                if (interface.segment.name == port->segment.name)
                    return out + " dmac=" + router.mac.text();
        return out;
    }

    // "send g1 x20 tcp …": twenty times; "x20+": each from the next source port, "x20>": to the
    // next destination port; "partial",
    // "super=1400": with what a device with offloads leaves to be done.
    std::string send(const std::string& line, const std::vector<std::string>& words) {
        std::size_t skip = 2;
        Times times{1};
        Offload offload;
        for (; skip < words.size(); ++skip) {
            if (times_of(words[skip]).count != 0) times = times_of(words[skip]);
            else if (words[skip] == "partial") offload.flags |= net::packet_partial_checksum;
            else if (words[skip].starts_with("super=")) {
                offload.flags |= net::packet_super_frame;
                offload.segment_bytes =
                    static_cast<std::uint16_t>(std::stoul(words[skip].substr(6)));
            } else break;
        }
        const std::string notation = with_macs(words.at(1), rest_of(line, skip));
        for (std::size_t i = 0; i < times.count; ++i) {
            const auto frame =
                net::parse_notation(raised(notation, times.raise ? i : 0, times.destination));
            if (!frame) return frame.error().text();
            last_sent_ = *frame;
            world_.send(words[1], *frame, offload);
        }
        collect();
        return {};
    }
    // "trace g1 tcp …": asks for the way of a packet instead of sending one.
    std::string trace(const std::string& line, const std::vector<std::string>& words) {
        std::string why = world_.trace(words.at(1), rest_of(line, 2));
        collect();
        return why;
    }
    std::string open(const std::string&, const std::vector<std::string>& words) {
        world_.open(words.at(1), words.at(2));
        return {};
    }
    std::string forget_arrivals(const std::string&, const std::vector<std::string>&) {
        arrived_.clear();
        return {};
    }
    std::string flows(const std::string&, const std::vector<std::string>& words) {
        if (!world_.hosts().empty()) return "the size of tables is said before the setup";
        world_.flows_per_worker = static_cast<std::uint32_t>(std::stoul(words.at(1)));
        return {};
    }
    std::string buffers(const std::string&, const std::vector<std::string>& words) {
        world_.host(words.at(1)).most_packets = static_cast<std::uint32_t>(std::stoul(words.at(2)));
        return {};
    }
    std::string unplug(const std::string&, const std::vector<std::string>& words) {
        if (world_.hosts().contains(words.at(1))) return "a host is unplugged before its setup";
        world_.without_underlay.insert(words.at(1));
        return {};
    }
    std::string wire_send(const std::string& line, const std::vector<std::string>& words) {
        const std::size_t count = times_of(words.at(2)).count;
        return from_underlay(words[1], rest_of(line, count != 0 ? 3 : 2), count != 0 ? count : 1);
    }
    // "again h3 epoch=7 -returning": what the last `wire` met reaches h3 with these words changed.
    std::string again(const std::string&, const std::vector<std::string>& words) {
        if (last_wire_.empty()) return "no `wire` has met a packet yet";
        if (words.size() > 2 && words[2] == "raw") return again_raw(words);
        const std::size_t times = words.size() > 2 ? times_of(words[2]).count : 0;
        const std::vector<std::string> changes(words.begin() + (times != 0 ? 3 : 2), words.end());
        return from_underlay(words.at(1), changed(net::describe(last_wire_), changes),
                             std::max<std::size_t>(times, 1));
    }
    std::string again_raw(const std::vector<std::string>& words) {
        world_.inject_underlay(words.at(1), with_bytes(last_wire_, words, 3));
        collect();
        return {};
    }
    std::string from_underlay(const std::string& host, const std::string& notation,
                              std::size_t times) {
        const auto frame = net::parse_notation(notation);
        if (!frame) return frame.error().text() + " in: " + notation;
        for (std::size_t i = 0; i < times; ++i) world_.inject_underlay(host, *frame);
        collect();
        return {};
    }
    void collect() {
        for (Sent& sent : world_.take_delivered()) arrived_.push_back(std::move(sent));
        for (Sent& sent : world_.take_underlay())
            if (is_tunnel(sent.frame) && !is_bfd(sent.frame)) wire_.push_back(std::move(sent));
    }

    // "-> g2 same", "-> g2 tcp syn ttl=63", "-> g2 x20", "-> dropped REASON", "-> nothing".
    std::string arrives(const std::string& line, const std::vector<std::string>& words) {
        if (words.at(1) == "nothing") return nothing_left();
        if (words[1] == "dropped") {
            const std::uint64_t now = world_.drops(words.at(2)), before = seen_drops_[words[2]];
            seen_drops_[words[2]] = now;
            return now > before ? ""
                                : words[2] + " did not rise (it is " + std::to_string(now) + ")";
        }
        const std::size_t times = words.size() > 2 ? times_of(words[2]).count : 0;
        const std::string wanted = rest_of(line, times != 0 ? 3 : 2);
        for (std::size_t i = 0; i < std::max<std::size_t>(times, 1); ++i)
            if (std::string why = arrives_once(words[1], wanted); !why.empty()) return why;
        return {};
    }
    std::string arrives_once(const std::string& port, const std::string& wanted) {
        const auto at = std::find_if(arrived_.begin(), arrived_.end(),
                                     [&](const Sent& sent) { return sent.port == port; });
        if (at == arrived_.end()) return "nothing arrived at " + port + drops_text();
        const Sent sent = *at;
        arrived_.erase(at);
        const std::string description = net::describe(sent.frame);
        if (words_of(wanted) == std::vector<std::string>{"same"})
            return sent.frame == last_sent_
                       ? ""
                       : "arrived: " + description + "\n    sent:    " + net::describe(last_sent_);
        const std::string missing = missing_word(wanted, description);
        return missing.empty() ? "" : "no word \"" + missing + "\" in: " + description;
    }
    std::string drops_text() {
        std::string out = "; drops:";
        for (const auto& [name, host] : world_.hosts()) {
            model::Value request = model::Value::object();
            request.set("what", "counters");
            const model::Value rows = host->query(request, world_.now_ns());
            for (const model::Value& row : rows.items())
                if (row["metric"].as_text() == "weir_drops_total" && row["value"].as_uint() != 0)
                    out += " " + name + ":" + row["labels"]["reason"].as_text() + "=" +
                           std::to_string(row["value"].as_uint());
        }
        return out;
    }

    // "wire h1 geneve vni=9001 …": the next tunnel packet on the underlay; "wire end": there is
    // none.
    std::string wire(const std::string& line, const std::vector<std::string>& words) {
        if (words.at(1) == "end") {
            if (wire_.empty()) return {};
            return "still on the wire, from " + wire_.front().host + ": " +
                   net::describe(wire_.front().frame);
        }
        if (wire_.empty()) return "nothing more on the wire" + drops_text();
        const Sent sent = wire_.front();
        wire_.erase(wire_.begin());
        last_wire_ = sent.frame;
        const std::string description = net::describe(sent.frame);
        if (sent.host != words[1]) return "from " + sent.host + ": " + description;
        const std::string missing = missing_word(rest_of(line, 2), description);
        return missing.empty() ? "" : "no word \"" + missing + "\" in: " + description;
    }
    std::string forget_wire(const std::string&, const std::vector<std::string>&) {
        wire_.clear();
        for (auto& [name, model] : world_.nodes) model.visits.clear();
        return {};
    }
    // "visit n1 sci=7 si=2 d=0" or "visit n2 left": the next one; "visit n1 end": there is none.
    std::string visit(const std::string& line, const std::vector<std::string>& words) {
        auto& visits = world_.nodes[words.at(1)].visits;
        if (words.size() > 2 && words[2] == "end")
            return visits.empty() ? "" : "also: " + visits.front();
        if (visits.empty()) return words[1] + " was not visited" + drops_text();
        const std::string first = visits.front();
        visits.erase(visits.begin());
        const std::string missing = missing_word(rest_of(line, 2), first);
        return missing.empty() ? "" : "the visit was: " + first;
    }

    std::string wait(const std::string&, const std::vector<std::string>& words) {
        std::size_t end = 0;
        const double amount = std::stod(words.at(1), &end);
        const std::string unit = words[1].substr(end);
        const double scale = unit == "s" ? 1e9 : unit == "ms" ? 1e6 : unit == "us" ? 1e3 : 0;
        if (scale == 0) return "wait 5s, 200ms or 10us";
        world_.advance(static_cast<std::uint64_t>(amount * scale));
        collect();
        return {};
    }
    std::string node(const std::string&, const std::vector<std::string>& words) {
        return set_node(world_.nodes[words.at(1)], words);
    }
    std::string node_state(const std::string&, const std::vector<std::string>& words) {
        world_.nodes[words.at(1)].hung = words[0] == "hang";
        return {};
    }
    // Guests' packets stay inside the node until it is told to let them go.
    std::string node_holds(const std::string&, const std::vector<std::string>& words) {
        world_.nodes[words.at(1)].holds = words[0] == "hold";
        if (words[0] == "release") world_.release(words[1]);
        return collect(), std::string();
    }
    // "move n1 h2 frozen": a step of its way.
    std::string move(const std::string&, const std::vector<std::string>& words) {
        const auto why = world_.move_node(words.at(1), words.at(2), words.at(3));
        return collect(), why;
    }
    std::string link(const std::string&, const std::vector<std::string>& words) {
        const bool cut = words[0] == "cut";
        if (words.size() > 2) {
            for (const auto& way : {std::pair(words[1], words[2]), std::pair(words[2], words[1])})
                if (cut) world_.cut_ways.insert(way);
                else world_.cut_ways.erase(way);
            return {};
        }
        if (cut) world_.cut_hosts.insert(words.at(1));
        else world_.cut_hosts.erase(words.at(1));
        return {};
    }
    // "swap h1 [port …]"
    std::string swap(const std::string&, const std::vector<std::string>& words) {
        return world_.host(words.at(1)).swap_engine({words.begin() + 2, words.end()}),
               std::string();
    }
    // "move-port g1 h4 freeze [bare] [no-stub]"
    std::string move_port(const std::string&, const std::vector<std::string>& words) {
        const std::set<std::string> more(words.begin() + 4, words.end());
        const auto why = world_.move_port(words.at(1), words.at(2), words.at(3), more);
        return collect(), why;
    }
    std::string away(const std::string&, const std::vector<std::string>& words) {
        if (words[0] == "away") return world_.away.insert(words.at(1)), std::string();
        return world_.away.erase(words.at(1)), put_text("resources: []");
    }
    // "flush h1 [adopt]": its flow records are gone.
    std::string flush(const std::string&, const std::vector<std::string>& words) {
        return ask(words.at(1), "flush-flows", words.size() > 2 && words[2] == "adopt");
    }
    std::string ask(const std::string& host, std::string_view what, bool adopt = false) {
        model::Value request = model::Value::object();
        request.set("what", what);
        request.set("adopt", adopt);
        return world_.host(host).query(request, world_.now_ns()), std::string();
    }
    // "bend h3 h4 h3 si=2/2": what h3 sends to h4 reaches h3, changed so, from h4; "bend h3 off".
    std::string bend(const std::string&, const std::vector<std::string>& words) {
        if (words.at(2) == "off") return world_.bends.erase(words[1]), std::string();
        const std::string instead_of = endpoint(words[2]), to = words.at(3);
        const std::string destination = endpoint(to);
        const std::vector<std::string> changes(words.begin() + 4, words.end());
        world_.bends[words[1]] = [=](const Frame& frame) {
            return World::Bent{to, bent(frame, instead_of, destination, changes)};
        };
        return {};
    }
    std::string endpoint(const std::string& host) const {
        const auto* found = world_.intent().find<model::Host>(host);
        return found ? found->tunnel_address.text() : host;
    }
    std::string restart(const std::string&, const std::vector<std::string>& words) {
        if (words.size() == 4) world_.host(words[1]).lose_pools(words[3]);
        world_.host(words.at(1)).restart_engine();
        return ask(words[1], "adopt-lost-flows");  // as weir-host does when it starts
    }

    // "expect METRIC[{label=value}][@host] =|>= N"; a name with a dot or in capitals is a drop
    // reason.
    std::string expect(const std::string&, const std::vector<std::string>& words) {
        if (words.size() != 4) return "expect NAME = N";
        std::string name = words[1], host;
        std::map<std::string, std::string> labels;
        if (const auto at = name.find('@'); at != std::string::npos) {
            host = name.substr(at + 1);
            name.resize(at);
        }
        if (const auto brace = name.find('{'); brace != std::string::npos) {
            std::istringstream list(name.substr(brace + 1, name.find('}') - brace - 1));
            for (std::string one; std::getline(list, one, ',');)
                labels[one.substr(0, one.find('='))] = one.substr(one.find('=') + 1);
            name.resize(brace);
        } else if (!name.starts_with("weir_")) {
            labels["reason"] = std::exchange(name, "weir_drops_total");
        }
        std::uint64_t sum = 0;
        for (const auto& [known, fake] : world_.hosts())
            if (host.empty() || host == known) sum += fake->counter(name, labels);
        const std::uint64_t wanted = std::stoull(words[3]);
        const bool met = words[2] == "="    ? sum == wanted
                         : words[2] == ">=" ? sum >= wanted
                         : words[2] == "<=" ? sum <= wanted
                                            : false;
        return met ? "" : "it is " + std::to_string(sum);
    }

    const std::string setup_dir_;
    World world_;
    Frame last_sent_, last_wire_;
    std::vector<Sent> arrived_, wire_;
    std::map<std::string, std::uint64_t> seen_drops_;
};

}  // namespace

std::string run_story(const std::string& path, const std::string& setup_dir, std::uint32_t workers,
                      ExitCounts& exits) {
    try {
        Story story(setup_dir, workers);
        std::string why = story.run(path);
        story.add_exits(exits);
        return why;
    } catch (const std::exception& e) {
        return path + ": a line is cut short or has a number that is none (" + e.what() + ")";
    }
}

}  // namespace weir::scenario
