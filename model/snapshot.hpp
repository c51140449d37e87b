#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/describe.hpp"

namespace weir::model {

// All resources of one moment: a number and one table per kind.
//
// A value: copying costs one pointer per kind, changing a copy copies the tables it touches, and a
// snapshot that nobody changes any more may be read by any thread. The set of kinds is open.
class Snapshot {
public:
    std::uint64_t revision = 0;

    // By name, ordered; empty if there is none. Valid until this snapshot is changed or gone.
    template <Resource R>
    const std::map<std::string, R, std::less<>>& all() const {
        static const std::map<std::string, R, std::less<>> none;
        const Slot* slot = find_slot(R::schema().kind);
        return slot ? static_cast<const Table<R>&>(*slot->table).rows : none;
    }

    template <Resource R>
    const R* find(std::string_view name) const {
        const auto& rows = all<R>();
        const auto at = rows.find(name);
        return at == rows.end() ? nullptr : &at->second;
    }
    // What a reference names; null if it is empty or names nothing.
    template <class T>
    requires is_ref<T>
    const typename T::Target* find(const T& ref) const {
        return find<typename T::Target>(std::string_view(ref.name));
    }

    // Adds the resource or replaces the one of its name.
    template <Resource R>
    void put(R resource) {
        std::string name = resource.name;
        own<R>().rows.insert_or_assign(std::move(name), std::move(resource));
    }

    // False if there was none.
    template <Resource R>
    bool erase(std::string_view name) {
        if (!find<R>(name)) return false;
        auto& rows = own<R>().rows;
        rows.erase(rows.find(name));
        return true;
    }

    // True if both hold the very same table of this kind: a cheap "nothing changed". Two equal
    // tables that were made apart from each other give false.
    template <Resource R>
    bool shares(const Snapshot& other) const {
        return table_of(R::schema().kind) == other.table_of(R::schema().kind);
    }

    std::size_t size() const {
        std::size_t sum = 0;
        for (const Slot& slot : slots_) sum += slot.table->size();
        return sum;
    }
    bool empty() const { return size() == 0; }

private:
    struct AnyTable {
        virtual ~AnyTable() = default;
        virtual std::size_t size() const = 0;
    };
    template <class R>
    struct Table final : AnyTable {
        std::map<std::string, R, std::less<>> rows;
        std::size_t size() const override { return rows.size(); }
    };
    struct Slot {
        std::string_view kind;
        std::shared_ptr<AnyTable> table;
    };

    const Slot* find_slot(std::string_view kind) const {
        for (const Slot& slot : slots_)
            if (slot.kind == kind) return &slot;
        return nullptr;
    }
    const void* table_of(std::string_view kind) const {
        const Slot* slot = find_slot(kind);
        return slot && slot->table->size() != 0 ? slot->table.get() : nullptr;
    }

    // The table of R, for us alone.
    template <class R>
    Table<R>& own() {
        for (Slot& slot : slots_) {
            if (slot.kind != R::schema().kind) continue;
            if (slot.table.use_count() != 1) {
                slot.table = std::make_shared<Table<R>>(static_cast<Table<R>&>(*slot.table));
            } else {
                // Taking a share orders us behind the thread that just gave its own share back.
                std::shared_ptr<AnyTable> acquire = slot.table;
            }
            return static_cast<Table<R>&>(*slot.table);
        }
        slots_.push_back({R::schema().kind, std::make_shared<Table<R>>()});
        return static_cast<Table<R>&>(*slots_.back().table);
    }

    std::vector<Slot> slots_;
};

}  // namespace weir::model
