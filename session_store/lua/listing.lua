-- {'listed', slot, ..} with the slots that the index names, if one of them is not in KEYS[2..]; else nil.
local function listed_slots()
  local given, slots, missing = {}, {'listed'}, false
  for number = 2, #KEYS do given[sub(KEYS[number], SLOT_BEGINS)] = true end
  for _, slot in ipairs(call('HKEYS', INDEX)) do
    if sub(slot, 1, 1) ~= '~' then
      slots[#slots + 1] = slot
      missing = missing or not given[slot]
    end
  end
  return missing and slots or nil
end
