// Simpler sentences for the elder mode; what is not here is said as in words_zh.js.

export const ZH_ELDER = {
  title: {
    home: "请点选您要办的事",
    identify: "请放卡",
    check: "请看一看对不对",
    pin: "请输密码",
    paying: "正在付款",
    take_card: "请拿好您的银行卡",
  },
  hint: {
    identify: "任意一种都行，放好就可以",
    check: "对，就点右下方按钮；不对，点“返回”",
    pin: "请在下面的小键盘上按密码，用手挡一挡",
    paying: "请等一等，不要拔卡",
    take_card: "先把卡拿出来",
    closed: "请到窗口办理",
  },
  prompt_hint: {
    insert: "芯片朝上，插到底",
    reading: "请等一等",
    application: "请选一个账户",
    remove: "先把卡拿出来",
  },
  outcome_detail: {
    declined: "没有扣钱",
    returned: "扣的钱会退回您的卡",
    pending: "请不要再付一次",
    exception: "您的钱有记录，不会丢",
    refused: "没有扣钱",
    failed: "没有扣钱",
    cancelled: "没有扣钱",
  },
  next: {
    take_slip: "请拿好凭条",
    take_card_and_slip: "请拿好银行卡和凭条",
    other_card_or_counter: "请换一张卡，或到人工窗口",
    money_back: "钱会退回您的卡",
    wait_or_counter: "请到人工窗口问结果，不要再付一次",
    slip_to_counter: "请拿着凭条到人工窗口",
    try_later: "请到人工窗口",
    nothing_taken: "没有扣钱，可以再办一次",
    counter_for_slip: "请到人工窗口拿凭条",
  },
  page: {
    pin_enter: "按完密码，再按绿色“确认”键",
    pin_clear: "按错了，按黄色“清除”键",
  },
};
