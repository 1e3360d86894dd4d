"""Simple sentences in Hebrew; verbs and adjectives agree with the gender of their subject."""

from random import Random

from polysem.corpora.wordlists import expressions

# Per gender: who, what they do (past tense), how they are.
PEOPLE = (
    (
        expressions("הילד|האיש|המורה|התינוק|המלך|הרופא|האיכר|אבא|אחי|סבא|החבר שלי|הטבח|החתול|הכלב|הסוס"),
        expressions("הלך אל|ישב ליד|שיחק ליד|הגיע אל|חזר אל|עבד ליד|ישן ליד|רץ אל"),
        expressions("ראה|צייר|לקח|מצא|הביא|קנה|שכח|אהב"),
        expressions("שמח|גדול|קטן|יפה|חזק|עצוב|טוב|חכם|מהיר|שקט"),
    ),
    (
        expressions("הילדה|האישה|הגננת|התינוקת|המלכה|הרופאה|אמא|אחותי|סבתא|החברה שלי|החתולה|השכנה|הנסיכה"),
        expressions("הלכה אל|ישבה ליד|שיחקה ליד|הגיעה אל|חזרה אל|עבדה ליד|ישנה ליד|רצה אל"),
        expressions("ראתה|ציירה|לקחה|מצאה|הביאה|קנתה|שכחה|אהבה"),
        expressions("שמחה|גדולה|קטנה|יפה|חזקה|עצובה|טובה|חכמה|מהירה|שקטה"),
    ),
)
PLACES = expressions("הבית|בית הספר|הגן|השוק|העיר|הכפר|הים|הנהר|היער|ההר|הספרייה|החדר|המטבח|הרחוב")
THINGS = expressions("הלחם|התפוח|המים|הספר|החלב|הפרחים|הדג|הדבש|הכדור|העיפרון|הדלת|המפתח|המכתב|העץ|העוגה")
TIMES = expressions("היום|אתמול|בבוקר|בערב|בלילה|אחר הצהריים|בחורף|בקיץ|ביום שישי|לפני שנה")
SKY = expressions("השמש זרחה|הירח האיר|השמיים היו כחולים|היה קר מאוד|ירד גשם|הרוח הייתה חזקה|עלה השחר")


def write(random: Random) -> str:
    """Eight to fourteen sentences."""
    return " ".join(_sentence(random) for _ in range(random.randrange(8, 15)))


def _sentence(random: Random) -> str:
    people, goes, does, manner = random.choice(PEOPLE)
    who, place, thing, time = map(random.choice, (people, PLACES, THINGS, TIMES))
    shape = random.randrange(6)
    if shape == 0:
        return f"{who} {random.choice(goes)} {place} {time}."
    if shape == 1:
        return f"{time} {who} {random.choice(does)} את {thing}."
    if shape == 2:
        first, second = random.sample(manner, 2)
        return f"{who} {first} ו{second} מאוד."
    if shape == 3:
        return f"{random.choice(SKY)}, ו{who} {random.choice(goes)} {place}."
    if shape == 4:
        return f"איפה {thing}? {who} {random.choice(does)} את {thing} ליד {place}."
    return f"{who} {random.choice(goes)} {place} ו{random.choice(does)} את {thing}."
