#include "features/chain/anchor/explain_choice.hpp"

#include <charconv>

#include "features/chain/anchor/selection.hpp"
#include "flow/table.hpp"

namespace weir::chain {
namespace {

using flow::FlowPair;
using model::Value;

constexpr std::size_t most_rows = 1000;

Value path_rows(const Chain& chain, const dataplane::Emit& emit, std::uint32_t host,
                std::uint32_t spi) {
    Value out = Value::array();
    for (const Choice& choice : choices(chain, host, *emit.health)) {
        Value& row = out.push(Value::object());
        row.set("path", choice.path->name);
        row.set("spi", choice.path->spi);
        row.set("chosen", choice.path->spi == spi);
        row.set("candidate", choice.candidate);
        row.set("takes_part", choice.takes_part);
        row.set("weight", choice.weight);
        row.set("load", choice.path->load);
        row.set("avoided", limits_missed(*choice.path, *emit.health) != 0);
        row.set("ordered_share", ordered_share(*choice.path, *emit.health));
        row.set("crossings", std::uint64_t{choice.path->crossings});
        row.set("nodes_here", std::uint64_t{choice.path->nodes_here});
        row.set("nodes_in_rack", std::uint64_t{choice.path->nodes_in_rack});
        if (!choice.takes_part) continue;
        row.set("from", choice.from);
        row.set("to", choice.to);
    }
    return out;
}

}  // namespace

void choice_rows(std::string_view id, const Plane& plane, const dataplane::Emit& emit,
                 Value& rows) {
    std::uint64_t wanted = 0;
    std::from_chars(id.data(), id.data() + id.size(), wanted);
    for (const dataplane::PortEntry& port : emit.ports->ports) {
        if (port.role != dataplane::PortRole::guest || port.foreign) continue;
        emit.flows->for_each(port.scope, [&](FlowPair& pair) {
            if (pair.live != flow::record_live || rows.size() >= most_rows) return;
            if (!id.empty() && pair.id != wanted) return;
            const flow::InsertionDecision decision = emit.flows->insertion(pair);
            const Chain* chain = decision.sci != 0 ? plane.chain(decision.sci) : nullptr;
            if (!chain) return;
            Value& row = rows.push(Value::object());
            row.set("id", pair.id);
            row.set("port", port.name);
            row.set("src_port", std::uint64_t{pair.key.tuple.src_port});
            row.set("chain", chain->name);
            row.set("path_selection", model::enum_name(chain->path_selection));
            row.set("numbers", model::enum_name(chain->number));
            if (chain->number == FlowNumbers::hash)  // others are not remembered
                row.set("number", flow_number(chain->sci, pair.key.vni, pair.key.tuple));
            row.set("paths", path_rows(*chain, emit, plane.host_id, decision.spi));
        });
    }
}

}  // namespace weir::chain
