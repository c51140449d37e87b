#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <functional>

#include "apps/weir/show.hpp"
#include "apps/weir/verbs.hpp"
#include "base/closest.hpp"

using namespace weir;
using namespace weir::command;

namespace {

constexpr const char* examples = R"(examples:
  weir apply -f two-hosts.yaml --dry-run     what would change, field by field
  weir apply -f two-hosts.yaml && weir wait  change it, and wait until every host runs it
  weir get port -o yaml
  weir trace g1 g2 tcp/80                    every stage, rule, hop and host of such a packet
  weir flows g1 --service tcp/80
  weir drops                                 every packet that disappeared, by reason
exit status: 0 done; 1 refused, not there, or a host did not answer; 2 not understood;
  3 no controller; 4 not in time)";

// The verb that is asked for, though none has that name; empty if there is nothing to say.
std::string unknown_verb(const CLI::App& app, int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        const bool takes_value = word == "--server" || word == "--token" || word == "--ca" ||
                                 word == "-o" || word == "--output";
        if (takes_value) ++i;
        if (word.starts_with("-")) continue;
        std::vector<std::string> verbs;
        for (const CLI::App* verb : app.get_subcommands({})) verbs.push_back(verb->get_name());
        const bool is_known = std::find(verbs.begin(), verbs.end(), word) != verbs.end();
        return is_known ? std::string()
                        : "there is no verb " + std::string(word) + did_you_mean(word, verbs) +
                              (closest(word, verbs).empty() ? "; see weir --help" : "");
    }
    return {};
}

// "30s", "500ms", "2min", "30" in seconds.
double seconds_in(const char* option, const std::string& text) {
    std::size_t end = text.find_first_not_of("0123456789.");
    if (end == std::string::npos) end = text.size();
    const std::string unit = text.substr(end);
    const double scale = unit == "ms"                  ? 0.001
                         : unit == "min"               ? 60
                         : unit == "s" || unit.empty() ? 1
                                                       : 0;
    double amount = 0;
    const auto read = std::from_chars(text.data(), text.data() + end, amount);
    if (scale == 0 || end == 0 || read.ec != std::errc{} || read.ptr != text.data() + end)
        throw Failure{2, {{Errc::invalid, option, "", "expected 30s, 500ms or 2min"}}};
    return amount * scale;
}

int fail(const Failure& failure) {
    complain(failure.errors);
    return failure.code;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "weir: look after a Weir network. Resources are declared in YAML and applied; everything "
        "else asks.",
        "weir");
    app.footer(examples);
    app.require_subcommand(1);
    app.fallthrough();

    Options options;
    app.add_option("--server", options.server, "unix:/path or https://host:port of the controller")
        ->envname("WEIR_SERVER")
        ->capture_default_str();
    app.add_option("--token", options.token, "administrator's token, for https")
        ->envname("WEIR_TOKEN");
    app.add_option("--ca", options.authority, "file with the authority's certificate, for https")
        ->envname("WEIR_CA");
    app.add_option("-o,--output", options.output, "table, json or yaml; name: get and kinds")
        ->check(CLI::IsMember({"table", "json", "yaml", "name"}))
        ->capture_default_str();

    std::function<void(const Session&)> run;
    std::string file, kind, name, to, service = "tcp/80", host, pattern, where, address;
    std::vector<std::string> names;
    bool dry_run = false, prune = false, ip6 = false, adopt = false;
    std::uint64_t revision = 0, limit = 50, rounds = 0;
    std::string timeout = "30s";
    double interval = 1;

    auto* apply_verb =
        app.add_subcommand("apply", "make the resources of a YAML file true, all or nothing");
    apply_verb->add_option("-f,--file", file, "YAML file, or - for standard input")->required();
    apply_verb->add_flag("--dry-run", dry_run, "show what would change and change nothing");
    apply_verb->add_flag("--prune", prune, "delete every resource that is not in the file");
    apply_verb->footer(
        R"(The file holds one resource, a list, a stream of documents, or `resources:` and
a list. Resources that are not in it stay, unless --prune is given. Applying the same file again
changes nothing.
examples:
  weir apply -f two-hosts.yaml --dry-run
  weir get port g1 -o yaml | sed 's/mtu: 0/mtu: 1400/' | weir apply -f -)");
    apply_verb->callback([&] { run = [&](const Session& s) { apply(s, file, dry_run, prune); }; });

    auto* get_verb = app.add_subcommand("get", "list resources of a kind, or show one");
    get_verb->add_option("kind", kind, "see: weir kinds")->required();
    get_verb->add_option("name", name, "only this one");
    get_verb->footer(
        R"(A table leaves out columns that are at their default everywhere; yaml
and json have all fields.
examples:
  weir get port
  weir get port g1 -o yaml
  weir get host -o name)");
    get_verb->callback([&] { run = [&](const Session& s) { get(s, kind, name); }; });

    auto* describe_verb = app.add_subcommand(
        "describe", "everything about one resource; \"flow PORT\" describes live flows");
    describe_verb->add_option("kind", kind, "kind of resource, or flow")->required();
    describe_verb->add_option("name", name, "name of the resource; port or host of the flows")
        ->required();
    describe_verb->add_option("--service", pattern, "flows: tcp/80, udp, icmp …");
    describe_verb->add_option("--address", address, "flows: of this address");
    describe_verb->footer(R"(examples:
  weir describe service-chain web-inspect
  weir describe flow g1 --service tcp/80     verdict, rule, chain, path and nodes of live flows)");
    describe_verb->callback([&] {
        run = [&](const Session& s) {
            if (kind == "flow" || kind == "flows") describe_flows(s, {name, pattern, address, 10});
            else describe(s, kind, name);
        };
    });

    auto* delete_verb = app.add_subcommand("delete", "delete one resource");
    delete_verb->add_option("kind", kind)->required();
    delete_verb->add_option("name", name)->required();
    delete_verb->add_flag("--dry-run", dry_run, "only say whether it could be deleted");
    delete_verb->footer(R"(A resource that others name is not deleted; the message says who does.
examples:
  weir delete firewall-rule deny-ssh --dry-run)");
    delete_verb->callback([&] { run = [&](const Session& s) { erase(s, kind, name, dry_run); }; });

    app.add_subcommand("kinds", "the kinds of resources there are")->callback([&] { run = kinds; });
    app.add_subcommand("hosts", "desired, applied and refused revision of every host")
        ->callback([&] { run = hosts; });

    auto* wait_verb = app.add_subcommand(
        "wait", "until every host runs a revision; non-zero exit if one refuses it or is late");
    wait_verb->add_option("--revision", revision, "0: the newest one")->capture_default_str();
    wait_verb->add_option("--timeout", timeout, "e.g. 30s, 500ms, 2min")->capture_default_str();
    wait_verb->footer(R"(examples:
  weir apply -f two-hosts.yaml && weir wait --timeout 10s)");
    wait_verb->callback(
        [&] {
            run = [&](const Session& s) { wait(s, revision, seconds_in("--timeout", timeout)); };
        });

    auto* events_verb = app.add_subcommand("events", "what happened, newest last");
    events_verb->add_option("--limit", limit)->capture_default_str();
    events_verb->footer(R"(examples:
  weir events --limit 20)");
    events_verb->callback([&] { run = [&](const Session& s) { events(s, limit); }; });

    auto* doctor_verb = app.add_subcommand(
        "doctor", "what on the hosts is not as it should be, why it matters, what to do");
    doctor_verb->add_option("hosts", names, "default: all");
    doctor_verb->footer(
        R"(Exit status 1 if there is a problem. The same on a host without
controller: weir-host doctor.
examples:
  weir doctor h1)");
    doctor_verb->callback([&] { run = [&](const Session& s) { doctor(s, names); }; });

    auto* flows_verb = app.add_subcommand("flows", "live flows, of a host or a port");
    flows_verb->add_option("where", where, "host or port; default: everywhere");
    flows_verb->add_option("--service", pattern, "tcp/80, udp, icmp …");
    flows_verb->add_option("--address", address, "source or destination");
    flows_verb->add_option("--limit", limit)->capture_default_str();
    flows_verb->footer(R"(PACKETS counts the initiator's direction, then the responder's.
examples:
  weir flows g1 --service tcp/80
  weir flows h2 --address 192.168.10.11 -o json)");
    flows_verb->callback([&] {
        run = [&](const Session& s) { flows(s, {where, pattern, address, limit}); };
    });

    auto* flush_verb = app.add_subcommand("flush", "remove flow records of a host or a port");
    flush_verb->add_option("where", where, "host or port")->required();
    flush_verb->add_option("--service", pattern, "only tcp/80, udp, icmp …");
    flush_verb->add_option("--address", address, "only those from or to it");
    flush_verb->add_flag("--adopt", adopt, "connections under way may go on, for 120 s");
    flush_verb->footer(
        R"(The next packets are decided anew. Without --adopt, what is in the middle of a TCP
connection has no record any more and is dropped (flow.out_of_state).
examples:
  weir flush g1 --service tcp/80 --adopt
  weir flush h2 --address 192.168.10.11)");
    flush_verb->callback([&] {
        run = [&](const Session& s) { flush(s, {where, pattern, address, limit}, adopt); };
    });

    auto* explain_verb = app.add_subcommand(
        "explain", "why live flows go as they go: rule, chain, path, hops, orders of nodes");
    explain_verb->add_option("where", where, "host or port")->required();
    explain_verb->add_option("--service", pattern, "tcp/80, udp, icmp …");
    explain_verb->add_option("--address", address, "source or destination");
    explain_verb->add_option("--limit", limit)->capture_default_str();
    explain_verb->footer(
        R"(Says for every path of the chain whether it may be chosen, and which numbers lead
to it; the flow's own number is a digest of its addresses, the same for both directions.
examples:
  weir explain g1 --service tcp/80)");
    explain_verb->callback([&] {
        run = [&](const Session& s) { explain(s, {where, pattern, address, limit}); };
    });

    ShowOptions showing;
    auto* show_verb =
        app.add_subcommand("show", "what hosts know of the service plane: rules, paths, nodes …");
    show_verb->add_option("view", showing.what, view_names())->required();
    show_verb->add_option("name", showing.name,
                          "only this port's rules, this chain's paths (with hops), this node …");
    show_verb->add_option("--host", showing.host, "as this host knows it; default: all");
    show_verb->add_option("--state", showing.state, "of paths")
        ->check(CLI::IsMember({"all", "active", "maintenance", "failed", "avoided"}))
        ->capture_default_str();
    show_verb->footer(view_help() + R"(
examples:
  weir show rules g1
  weir show paths web-inspect --state active
  weir show nexthops plane --host h2
  weir show proxy-contexts n2 -o json)");
    show_verb->callback([&] { run = [&](const Session& s) { show(s, showing); }; });

    auto* drops_verb = app.add_subcommand("drops", "every packet that disappeared, by reason");
    drops_verb->add_option("host", host, "default: all");
    drops_verb->footer(
        R"(Reasons are STAGE.WHY; weir trace shows the stage at work, docs/operate/
troubleshoot.md what to do.
examples:
  weir drops h1)");
    drops_verb->callback([&] { run = [&](const Session& s) { drops(s, host); }; });

    auto* top_verb = app.add_subcommand("top", "rates per host");
    top_verb->add_option("--interval", interval, "seconds")->capture_default_str();
    top_verb->add_option("-n,--rounds", rounds, "0: until interrupted")->capture_default_str();
    top_verb->footer(
        R"(On a terminal the picture is drawn anew each time; -o json prints a line for each.
examples:
  weir top --interval 2
  weir top -n 1 -o json)");
    top_verb->callback([&] { run = [&](const Session& s) { top(s, interval, rounds); }; });

    auto* counters_verb = app.add_subcommand("counters", "all counters of a host");
    counters_verb->add_option("host", host)->required();
    counters_verb->add_option("pattern", pattern, "only those that contain this");
    counters_verb->footer(R"(examples:
  weir counters h1 firewall_rule_hits)");
    counters_verb->callback([&] { run = [&](const Session& s) { counters(s, host, pattern); }; });

    auto* trace_verb = app.add_subcommand(
        "trace", "send a traced packet from port to port through the production pipeline");
    trace_verb->add_option("from", name, "guest port")->required();
    trace_verb->add_option("to", to, "guest port")->required();
    trace_verb->add_option("service", service, "tcp/PORT, udp/PORT, icmp")->capture_default_str();
    trace_verb->add_flag("-6", ip6, "IPv6");
    bool deliver = false;
    trace_verb->add_flag("--deliver", deliver, "the guest gets the packet");
    trace_verb->footer(
        R"(Nothing reaches the guest without --deliver: the packet ends at its port as
deliver.traced. Service nodes do see it; one that keeps it for a second has not answered.
examples:
  weir trace g1 g2 tcp/80
  weir trace -6 g1 g3 icmp)");
    trace_verb->callback(
        [&] { run = [&](const Session& s) { trace(s, name, to, service, ip6, deliver); }; });

    std::string rollover = "60s";
    auto* rotate_verb = app.add_subcommand(
        "rotate-key", "replace the key that hosts of a service segment sign packets with");
    rotate_verb->add_option("service-segment", name)->required();
    rotate_verb->add_option("--rollover", rollover, "how long the old key counts as well")
        ->capture_default_str();
    rotate_verb->add_option("--timeout", timeout, "for all hosts, at each step")
        ->capture_default_str();
    rotate_verb->footer(
        R"(The key is made here and never shown. No packet is lost: all hosts take the new key
before the first signs with it. A segment without keys gets its first one. Run again, it finishes
a rotation that was interrupted.
examples:
  weir rotate-key plane)");
    rotate_verb->callback([&] {
        run = [&](const Session& s) {
            rotate_key(s, name, seconds_in("--rollover", rollover),
                       seconds_in("--timeout", timeout));
        };
    });

    MigrateOptions moving;
    std::string stub = "30s";
    auto* migrate_verb =
        app.add_subcommand("migrate", "move a guest's port or a service node to another host");
    migrate_verb->add_option("kind", kind)->check(CLI::IsMember({"port", "node"}))->required();
    migrate_verb->add_option("name", moving.port, "the guest's port, or the service node")
        ->required();
    migrate_verb->add_option("--to", moving.to, "host it goes to")->required();
    migrate_verb->add_flag("--dry-run", moving.dry_run, "only say whether it could move");
    migrate_verb->add_flag("--force", moving.force,
                           "though services cannot be reached from there: their failure policy");
    migrate_verb->add_option("--before-freeze", moving.before_freeze,
                             "command that pauses the guest, run when all but the last is there");
    migrate_verb->add_option("--when-frozen", moving.when_frozen,
                             "command that moves the guest, run while its packets wait");
    migrate_verb->add_option("--stub", stub, "how long the old host sends on what still comes")
        ->capture_default_str();
    migrate_verb
        ->add_option("--timeout", timeout,
                     "for each of these commands; one that takes longer is ended")
        ->capture_default_str();
    migrate_verb->footer(
        R"(What goes wrong before the port is active at its new host leaves it working where it
was. Commands are run by sh with WEIR_PORT (of a service node: WEIR_NODE), WEIR_FROM and WEIR_TO;
one that fails undoes the move.
docs/operate/migrate.md has examples for network namespaces and for QEMU.
examples:
  weir migrate port g1 --to h4 --dry-run
  weir migrate port g1 --to h4 --when-frozen 'ssh $WEIR_TO start-guest g1'
  weir migrate node n1 --to h2 --when-frozen 'move-machine n1 $WEIR_TO')");
    migrate_verb->callback([&] {
        run = [&](const Session& s) {
            moving.has_stub = migrate_verb->count("--stub") > 0;
            moving.stub_s = seconds_in("--stub", stub);
            moving.timeout_s = seconds_in("--timeout", timeout);
            kind == "node" ? migrate_node(s, moving) : migrate(s, moving);
        };
    });

    auto* query_verb = app.add_subcommand(
        "query", "ask a host's engine or shell (dataplane/queries.md); JSON or the bare name");
    query_verb->add_option("host", host)->required();
    query_verb->add_option("what", pattern)->required();
    query_verb->footer(R"(examples:
  weir query h1 host-ports
  weir query h1 '{"what":"flows","port":"g1","limit":5}')");
    query_verb->callback([&] { run = [&](const Session& s) { query(s, host, pattern); }; });

    auto* completion_verb =
        app.add_subcommand("completion", "shell completion: source <(weir completion bash)");
    completion_verb->footer("examples:\n  source <(weir completion bash)");
    completion_verb->add_option("shell", name, "bash")->check(CLI::IsMember({"bash"}))->required();

    if (const std::string why = unknown_verb(app, argc, argv); !why.empty())
        return fail({2, {{Errc::invalid, "", "", why}}});
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    if (completion_verb->parsed()) {
        std::fputs(bash_completion(), stdout);
        return 0;
    }
    try {
        if (options.output == "table" && query_verb->parsed()) options.output = "json";
        const Session session(options);
        run(session);
        return session.left_out() ? 1 : 0;
    } catch (const Failure& failure) {
        return fail(failure);
    } catch (const std::exception& e) {
        return fail({2, {{Errc::invalid, "", "", e.what()}}});
    }
}
