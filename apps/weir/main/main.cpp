#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>

#include "apps/weir/verbs.hpp"

using namespace weir;
using namespace weir::command;

namespace {

constexpr const char* epilogue = R"(examples:
  weir apply -f two-hosts.yaml --dry-run     what would change, field by field
  weir apply -f two-hosts.yaml && weir wait  change it, and wait until every host runs it
  weir get port -o yaml
  weir trace g1 g2 tcp/80                    every stage, rule, hop and host of such a packet
  weir flows g1 --service tcp/80
  weir drops                                 every packet that disappeared, by reason)";

constexpr const char* bash_completion = R"(_weir() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
  case $prev in
    get|describe|delete)
      local kinds=$(weir kinds 2>/dev/null | awk 'NR>1{print $1}')
      COMPREPLY=($(compgen -W "$kinds flow" -- "$cur")) ;;
    -f|--file) COMPREPLY=($(compgen -f -- "$cur")) ;;
    -o|--output) COMPREPLY=($(compgen -W "table json yaml" -- "$cur")) ;;
    *)
      local verbs="apply get describe delete kinds wait hosts events doctor flows"
      verbs+=" drops top counters trace query completion"
      COMPREPLY=($(compgen -W "$verbs" -- "$cur")) ;;
  esac
}
complete -F _weir weir)";

int fail(const Failure& failure) {
    for (const Error& error : failure.errors)
        std::fprintf(stderr, "weir: %s\n", error.text().c_str());
    return failure.code;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "weir: look after a Weir network. Resources are declared in YAML and applied; everything "
        "else asks.");
    app.footer(epilogue);
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
    app.add_option("-o,--output", options.output, "table, json or yaml")
        ->check(CLI::IsMember({"table", "json", "yaml"}))
        ->capture_default_str();

    std::function<void(const Session&)> run;
    std::string file, kind, name, to, service = "tcp/80", host, pattern, where, address;
    std::vector<std::string> names;
    bool dry_run = false, prune = false, ip6 = false;
    std::uint64_t revision = 0, limit = 50, rounds = 0;
    std::string timeout = "30s";
    double interval = 1;

    auto* apply_verb =
        app.add_subcommand("apply", "make the resources of a YAML file true, all or nothing");
    apply_verb->add_option("-f,--file", file, "YAML file, or - for standard input")->required();
    apply_verb->add_flag("--dry-run", dry_run, "show what would change and change nothing");
    apply_verb->add_flag("--prune", prune, "delete every resource that is not in the file");
    apply_verb->callback([&] { run = [&](const Session& s) { apply(s, file, dry_run, prune); }; });

    auto* get_verb = app.add_subcommand("get", "list resources of a kind, or show one");
    get_verb->add_option("kind", kind, "see: weir kinds")->required();
    get_verb->add_option("name", name, "only this one");
    get_verb->callback([&] { run = [&](const Session& s) { get(s, kind, name); }; });

    auto* describe_verb = app.add_subcommand(
        "describe", "everything about one resource; \"flow PORT\" describes live flows");
    describe_verb->add_option("kind", kind, "kind of resource, or flow")->required();
    describe_verb->add_option("name", name, "name of the resource; port or host of the flows")
        ->required();
    describe_verb->add_option("--service", pattern, "flows: tcp/80, udp, icmp …");
    describe_verb->add_option("--address", address, "flows: of this address");
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
    delete_verb->callback([&] { run = [&](const Session& s) { erase(s, kind, name, dry_run); }; });

    app.add_subcommand("kinds", "the kinds of resources there are")->callback([&] { run = kinds; });
    app.add_subcommand("hosts", "desired, applied and refused revision of every host")
        ->callback([&] { run = hosts; });

    auto* wait_verb = app.add_subcommand(
        "wait", "until every host runs a revision; non-zero exit if one refuses it or is late");
    wait_verb->add_option("--revision", revision, "0: the newest one")->capture_default_str();
    wait_verb->add_option("--timeout", timeout, "e.g. 30s, 500ms, 2min")->capture_default_str();
    wait_verb->callback([&] {
        run = [&](const Session& s) {
            std::size_t end = 0;
            const double amount = std::stod(timeout, &end);
            const std::string unit = timeout.substr(end);
            const double scale = unit == "ms"                  ? 0.001
                                 : unit == "min"               ? 60
                                 : unit == "s" || unit.empty() ? 1
                                                               : 0;
            if (scale == 0)
                throw Failure{2, {{Errc::invalid, "--timeout", "", "expected 30s, 500ms or 2min"}}};
            wait(s, revision, amount * scale);
        };
    });

    auto* events_verb = app.add_subcommand("events", "what happened, newest last");
    events_verb->add_option("--limit", limit)->capture_default_str();
    events_verb->callback([&] { run = [&](const Session& s) { events(s, limit); }; });

    auto* doctor_verb = app.add_subcommand(
        "doctor", "what on the hosts is not as it should be, why it matters, what to do");
    doctor_verb->add_option("hosts", names, "default: all");
    doctor_verb->callback([&] { run = [&](const Session& s) { doctor(s, names); }; });

    auto* flows_verb = app.add_subcommand("flows", "live flows, of a host or a port");
    flows_verb->add_option("where", where, "host or port; default: everywhere");
    flows_verb->add_option("--service", pattern, "tcp/80, udp, icmp …");
    flows_verb->add_option("--address", address, "source or destination");
    flows_verb->add_option("--limit", limit)->capture_default_str();
    flows_verb->callback([&] {
        run = [&](const Session& s) { flows(s, {where, pattern, address, limit}); };
    });

    auto* drops_verb = app.add_subcommand("drops", "every packet that disappeared, by reason");
    drops_verb->add_option("host", host, "default: all");
    drops_verb->callback([&] { run = [&](const Session& s) { drops(s, host); }; });

    auto* top_verb = app.add_subcommand("top", "rates per host");
    top_verb->add_option("--interval", interval, "seconds")->capture_default_str();
    top_verb->add_option("-n,--rounds", rounds, "0: until interrupted")->capture_default_str();
    top_verb->callback([&] { run = [&](const Session& s) { top(s, interval, rounds); }; });

    auto* counters_verb = app.add_subcommand("counters", "all counters of a host");
    counters_verb->add_option("host", host)->required();
    counters_verb->add_option("pattern", pattern, "only those that contain this");
    counters_verb->callback([&] { run = [&](const Session& s) { counters(s, host, pattern); }; });

    auto* trace_verb = app.add_subcommand(
        "trace", "send a traced packet from port to port through the production pipeline");
    trace_verb->add_option("from", name, "guest port")->required();
    trace_verb->add_option("to", to, "guest port")->required();
    trace_verb->add_option("service", service, "tcp/PORT, udp/PORT, icmp")->capture_default_str();
    trace_verb->add_flag("-6", ip6, "IPv6");
    trace_verb->callback(
        [&] { run = [&](const Session& s) { trace(s, name, to, service, ip6); }; });

    auto* query_verb = app.add_subcommand(
        "query", "ask a host's engine or shell (dataplane/queries.md); JSON or the bare name");
    query_verb->add_option("host", host)->required();
    query_verb->add_option("what", pattern)->required();
    query_verb->callback([&] { run = [&](const Session& s) { query(s, host, pattern); }; });

    auto* completion_verb =
        app.add_subcommand("completion", "shell completion: source <(weir completion bash)");
    completion_verb->add_option("shell", name, "bash")->check(CLI::IsMember({"bash"}))->required();

    CLI11_PARSE(app, argc, argv);
    if (completion_verb->parsed()) {
        std::puts(bash_completion);
        return 0;
    }
    try {
        if (options.output == "table" && query_verb->parsed()) options.output = "json";
        run(Session(options));
        return 0;
    } catch (const Failure& failure) {
        return fail(failure);
    } catch (const std::exception& e) {
        return fail({2, {{Errc::invalid, "", "", e.what()}}});
    }
}
