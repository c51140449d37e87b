#include "tests/scenario/node_words.hpp"

#include <array>
#include <sstream>

namespace weir::scenario {
namespace {

std::uint32_t number(const std::string& text) {
    return static_cast<std::uint32_t>(std::stoul(text));
}

// "OP[:SCOPE[:PARAMETER]]"
net::NodeControl order_of(const std::string& text) {
    std::istringstream in(text);
    std::array<std::uint32_t, 3> numbers{};
    for (std::uint32_t& one : numbers) {
        in >> one;
        if (in.get() != ':') break;
    }
    return {static_cast<std::uint8_t>(numbers[0]), static_cast<std::uint8_t>(numbers[1]), 0,
            numbers[2]};
}

// "FROM>TO"
bool set_nat(NodeModel& model, const std::string& text) {
    const std::size_t arrow = text.find('>');
    if (arrow == std::string::npos) return false;
    const auto from = net::Ip::parse(text.substr(0, arrow));
    const auto to = net::Ip::parse(text.substr(arrow + 1));
    if (!from || !to) return false;
    model.nat_from = *from;
    model.nat_to = *to;
    return true;
}

bool set_word(NodeModel& model, const std::string& word) {
    const std::size_t equals = word.find('=');
    const std::string key = word.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
    if (word == "aware") model.aware = true;
    else if (word == "l2" || word == "l3" || word == "gwlb") model.aware = false;
    else if (word == "decrements") model.decrements = 1;
    else if (word == "decrements-twice") model.decrements = 2;
    else if (word == "tampers") model.tampers = true;
    else if (word == "resets") model.resets = true;
    else if (key == "action") model.action = static_cast<std::uint8_t>(number(value));
    else if (word == "wrong-side") model.wrong_side = true;
    else if (word == "corrupts") model.corrupts = true;
    else if (key == "drop") model.drop_port = number(value);
    else if (key == "nat") return set_nat(model, value);
    else if (key == "order") model.order = order_of(value);
    else if (key == "order-port") model.order_port = number(value);
    else if (key == "rewrites") model.rewrite_port = static_cast<std::uint16_t>(number(value));
    else return false;
    return true;
}

}  // namespace

std::string set_node(NodeModel& model, const std::vector<std::string>& words) {
    model = {};
    for (std::size_t i = 2; i < words.size(); ++i)
        if (!set_word(model, words[i])) return "unknown word " + words[i];
    return {};
}

}  // namespace weir::scenario
