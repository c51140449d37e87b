#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <map>
#include <thread>

#include "api/cli/table.hpp"
#include "apps/weir/verbs.hpp"

namespace weir::command {

namespace {

using model::Value;
using Clock = std::chrono::steady_clock;

// What top shows of one host, summed over ports and workers at one moment.
struct Sample {
    Clock::time_point at;
    std::map<std::string, std::uint64_t> sums;  // metric, without labels
    std::uint64_t rx_bits = 0, tx_bits = 0;     // of guests, service nodes and the underlay
};

Sample sample_of(const Value& answer) {
    Sample out{Clock::now(), {}, 0, 0};
    for (const Value& row : answer["rows"].items()) {
        const std::string& metric = row["metric"].as_text();
        const std::uint64_t value = row["value"].as_uint();
        out.sums[metric] += value;
        if (metric != "weir_port_bytes_total") continue;
        (row["labels"]["direction"].as_text() == "rx" ? out.rx_bits : out.tx_bits) += 8 * value;
    }
    return out;
}

// Field by field what happened between two samples of a host. A host that started again between
// them counts from zero.
Value rates_of(const std::string& host, const Sample& before, const Sample& now) {
    const double seconds = std::chrono::duration<double>(now.at - before.at).count();
    const auto difference = [](std::uint64_t then, std::uint64_t value) {
        return static_cast<double>(value < then ? value : value - then);
    };
    const auto sum = [](const Sample& in, const char* metric) {
        const auto found = in.sums.find(metric);
        return found == in.sums.end() ? std::uint64_t{0} : found->second;
    };
    const auto rate = [&](const char* metric) {
        return difference(sum(before, metric), sum(now, metric)) / seconds;
    };
    const double busy = rate("weir_worker_busy_ns_total"), idle = rate("weir_worker_idle_ns_total");
    Value row = Value::object();
    row.set("host", host);
    row.set("flows", sum(now, "weir_flows"));
    row.set("new_flows_per_s", rate("weir_flows_inserted_total"));
    row.set("delivered_packets_per_s", rate("weir_delivered_packets_total"));
    row.set("tunnel_sent_packets_per_s", rate("weir_tunnel_sent_packets_total"));
    row.set("tunnel_received_packets_per_s", rate("weir_tunnel_received_packets_total"));
    row.set("received_bits_per_s", difference(before.rx_bits, now.rx_bits) / seconds);
    row.set("sent_bits_per_s", difference(before.tx_bits, now.tx_bits) / seconds);
    row.set("drops_per_s", rate("weir_drops_total"));
    row.set("busy_ratio", busy + idle > 0 ? busy / (busy + idle) : 0.0);
    return row;
}

std::string number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.0f", value);
    return text;
}

void print_table(const Value& rows) {
    cli::Table table({"HOST", "FLOWS", "NEW/S", "DELIVERED/S", "TUNNEL OUT/S", "TUNNEL IN/S",
                      "RX MBIT/S", "TX MBIT/S", "DROPS/S", "BUSY %"});
    for (const Value& row : rows.items())
        table.add({row["host"].as_text(), std::to_string(row["flows"].as_uint()),
                   number(row["new_flows_per_s"].as_double()),
                   number(row["delivered_packets_per_s"].as_double()),
                   number(row["tunnel_sent_packets_per_s"].as_double()),
                   number(row["tunnel_received_packets_per_s"].as_double()),
                   number(row["received_bits_per_s"].as_double() / 1e6),
                   number(row["sent_bits_per_s"].as_double() / 1e6),
                   number(row["drops_per_s"].as_double()),
                   number(row["busy_ratio"].as_double() * 100)});
    if (isatty(STDOUT_FILENO)) {  // the last picture goes, the next one comes in its place
        const std::time_t now = std::time(nullptr);
        char clock[16];
        std::strftime(clock, sizeof clock, "%H:%M:%S", std::localtime(&now));
        std::printf("\x1b[H\x1b[Jweir top  %s   (Ctrl-C ends)\n", clock);
    }
    std::fputs(table.text().c_str(), stdout);
    std::fflush(stdout);
}

}  // namespace

void top(const Session& session, double interval_s, std::uint64_t rounds) {
    if (!(interval_s >= 0.1 && interval_s <= 3600))
        throw Failure{2, {{Errc::invalid, "--interval", "", "expected 0.1 to 3600 seconds"}}};
    std::map<std::string, Sample> before;
    for (std::uint64_t round = 0; rounds == 0 || round <= rounds; ++round) {
        if (round != 0) std::this_thread::sleep_for(std::chrono::duration<double>(interval_s));
        Value rows = Value::array();
        for (const auto& [host, answer] : session.ask_each(session.hosts(), question("counters"))) {
            Sample now = sample_of(answer);
            if (const auto then = before.find(host); then != before.end())
                rows.push(rates_of(host, then->second, now));
            before[host] = std::move(now);
        }
        if (round == 0) continue;
        if (session.table()) print_table(rows);
        else session.print_line(rows);
    }
}

}  // namespace weir::command
